from __future__ import annotations

from pathlib import Path

import pytest

from sitrepbench.errors import ConfigError
from sitrepbench.tracking.settings import tracking_settings


def test_defaults_lie_in_the_results_folder(tmp_path: Path) -> None:
    settings = tracking_settings(tmp_path, "adhoc")
    assert settings.uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert settings.database == tmp_path / "mlflow.db"
    assert settings.artifact_root == f"{tmp_path}/mlartifacts"
    assert settings.experiment == "sitrepbench/adhoc"
    assert settings.shown_uri == settings.uri


def test_relative_places_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = tracking_settings(
        Path("results"), "adhoc", uri="sqlite:///logs/m.db", artifact_root="files"
    )
    assert settings.uri == f"sqlite:///{tmp_path}/logs/m.db"
    assert settings.artifact_root == f"{tmp_path}/files"
    assert settings.lock == tmp_path / "results" / "tracking.lock"


def test_server_is_passed_on_and_keeps_its_artifacts(tmp_path: Path) -> None:
    settings = tracking_settings(tmp_path, "adhoc", uri="https://me:secret@host/ml/")
    assert settings.uri == "https://me:secret@host/ml"
    assert settings.database is None
    assert settings.artifact_root is None
    assert settings.shown_uri == "https://host/ml"


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "mlruns", "./mlruns"])
def test_plain_folder_is_refused_with_the_reason(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ConfigError, match=r"no longer keeps runs in a plain folder.*since 3\.13"):
        tracking_settings(tmp_path, "adhoc", uri=uri)


@pytest.mark.parametrize("uri", ["postgresql://h/db", "sqlite://", "sqlite:///:memory:", "http:"])
def test_other_kinds_are_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ConfigError, match="is not supported: expected sqlite"):
        tracking_settings(tmp_path, "adhoc", uri=uri)


def test_path_that_mlflow_would_misread_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="with % in it"):
        tracking_settings(tmp_path / "a%20b", "adhoc")
