"""A study's declared look holds for the study as committed, and costs little for many runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sitrepbench.config import compose as compose_module
from sitrepbench.config import studies
from sitrepbench.config.compose import hydra_session
from sitrepbench.config.run_config import RunConfig
from sitrepbench.config.studies import final_test_reason, is_published
from sitrepbench.config.sweeping import JobComposer
from sitrepbench.errors import ConfigError
from sitrepbench.resources import resource_folder

STUDY = """\
# @package _global_
defaults:
  - override /dataset: seeds
  - override /protocol: score
study: final
final_test: {reason}
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      model: keyword_rules,majority_background
      seed: range(1,3)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose study lies in experiments/, not yet committed."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "final.yaml").write_text(STUDY.format(reason="the paper"))

    def folder(name: str) -> Path:
        return tmp_path / name if name == "experiments" else resource_folder(name)  # type: ignore[arg-type]

    for module in (compose_module, studies):
        monkeypatch.setattr(module, "resource_folder", folder)
    git(tmp_path, "init", "-q")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def commit(project: Path) -> None:
    git(project, "add", ".")
    git(project, "commit", "-qm", "study")


def runs(*given: str, models: tuple[str, ...] = ("keyword_rules",)) -> list[RunConfig]:
    with hydra_session() as hydra:
        master = compose_module.master_config(hydra.config_loader)
        return JobComposer(hydra.config_loader, master).compose(
            [["experiments=final", f"model={model}", "seed=2", *given] for model in models]
        )


@pytest.mark.slow
def test_the_reason_is_the_committed_one(project: Path) -> None:
    (run,) = runs()
    with pytest.raises(ConfigError, match="not committed as it stands"):
        final_test_reason(run)
    commit(project)
    assert final_test_reason(run) == "the paper"
    (project / "experiments" / "final.yaml").write_text(STUDY.format(reason="another"))
    with pytest.raises(ConfigError, match="not committed as it stands"):
        final_test_reason(run)
    commit(project)
    assert final_test_reason(run) == "another"


@pytest.mark.slow
def test_it_holds_for_the_models_of_the_study_only(project: Path) -> None:
    commit(project)
    names = ("keyword_rules", "majority_background")
    assert {final_test_reason(run) for run in runs(models=names)} == {"the paper"}
    others = (
        *runs(models=("linear_svm", "majority")),  # what it would be without its sweep, too
        *runs("seed=3"),
        *runs("features=none"),
        *runs("protocol.score=[test]"),
        *runs("+model._about_.note=x"),
    )
    for other in others:
        with pytest.raises(ConfigError, match="this is another run"):
            final_test_reason(other)


@pytest.mark.slow
def test_a_study_without_a_look_has_no_reason(project: Path) -> None:
    text = STUDY.format(reason="x").replace("final_test: x\n", "")
    (project / "experiments" / "final.yaml").write_text(text)
    assert final_test_reason(runs()[0]) is None
    assert final_test_reason(runs("study=elsewhere")[0]) is None


@pytest.mark.slow
def test_many_runs_of_a_study_ask_git_and_hydra_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(project)
    asked: list[list[str]] = []
    real = subprocess.run

    def counted(command: list[str], **options: object) -> object:
        asked.append(command)
        return real(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(studies.subprocess, "run", counted)
    composed = studies._declared.cache_info().misses
    for run in runs(models=("keyword_rules", "majority_background") * 20):
        assert final_test_reason(run) == "the paper"
    assert len(asked) == 4
    assert studies._declared.cache_info().misses - composed == 2


@pytest.mark.slow
def test_a_run_is_published_once_its_results_are_committed(project: Path) -> None:
    commit(project)
    (run,) = runs("seed=1")
    assert not is_published(run)
    (project / "experiments" / "final").mkdir()
    expected = project / "experiments" / "final" / "expected.json"
    expected.write_text(json.dumps({"runs": [{"overrides": ["model=keyword_rules", "seed=1"]}]}))
    assert not is_published(run)
    commit(project)
    assert is_published(run)
    assert not is_published(runs("seed=2")[0])
