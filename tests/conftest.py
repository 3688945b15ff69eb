"""What every test can rely on: a home of its own, no telemetry, and honest skips."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from sitrepbench.preparing import PreparedRun

# Before anything imports mlflow, which reads it once.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

REPOSITORY = Path(__file__).resolve().parents[1]

# The same examples on every machine, and none kept in the working folder.
settings.register_profile("project", deadline=None, database=None, derandomize=True)
settings.load_profile("project")


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the tests an empty home, so that nothing of the user's is read or written."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patch.delenv(name, raising=False)
        for name in [name for name in os.environ if name.startswith(("MLFLOW_", "SITREPBENCH_"))]:
            if name not in ("MLFLOW_DISABLE_TELEMETRY", "SITREPBENCH_REQUIRE"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def require() -> Callable[[bool, str], None]:
    """Return a function that skips with a reason unless something is there.

    With ``SITREPBENCH_REQUIRE=all`` in the environment, what is absent is a failure.
    """

    def check(present: bool, why: str) -> None:
        if present:
            return
        if os.environ.get("SITREPBENCH_REQUIRE") == "all":
            pytest.fail(f"SITREPBENCH_REQUIRE=all, but {why}")
        pytest.skip(why)

    return check


@pytest.fixture(scope="session")
def require_path(require: Callable[[bool, str], None]) -> Callable[[Path, str], Path]:
    """Return a function that gives a path back if it exists, and else skips or fails."""

    def check(path: Path, why: str) -> Path:
        require(path.exists(), f"{path} is absent: {why}")
        return path

    return check


@pytest.fixture(scope="session")
def prepared() -> Iterator[Callable[..., PreparedRun]]:
    """Return a function that prepares a run of a table's file; files are composed from once."""
    from sitrepbench.config.compose import compose, compose_with, hydra_session
    from sitrepbench.config.run_config import check_config
    from sitrepbench.preparing import prepare

    with hydra_session() as hydra:

        def call(file: Path, *overrides: str, config_dirs: tuple[Path, ...] = ()) -> PreparedRun:
            given = [f"dataset.path={file}", "protocol.n_folds=3", *overrides]
            if config_dirs:
                return prepare(check_config(compose(given, config_dirs=config_dirs)))
            return prepare(check_config(compose_with(hydra, given)))

        yield call
