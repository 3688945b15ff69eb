"""The plugins: Hydra finds them, and a sweep goes through them to the task and back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.hydra import Hydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper

from sitrepbench.config.compose import hydra_session
from sitrepbench.config.run_config import RunConfig
from sitrepbench.errors import ConfigError, ModelError


@dataclass(frozen=True)
class Run:
    score: float | None
    error: Exception | None = None


@dataclass
class Task:
    """Stands for the task of ``sitrepbench run``: keeps what it is given, fails for one seed."""

    batches: list[list[RunConfig]] = field(default_factory=list)
    composed: list[Any] = field(default_factory=list)

    def launch(self, configs: list[RunConfig]) -> list[Run]:
        self.batches.append(configs)
        return [
            Run(None, ModelError("seed 3 fails")) if config.seed == 3 else Run(config.seed / 10)
            for config in configs
        ]

    def __call__(self, config: Any) -> int:
        self.composed.append(config)
        return 0


@pytest.fixture
def task() -> Task:
    return Task()


@pytest.fixture
def sweep(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a sweep as ``sitrepbench run -m`` does, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*overrides: str, function: Any = task) -> list[list[JobReturn]]:
        with hydra_session() as hydra:
            returned: list[list[JobReturn]] = multirun(hydra, function, overrides)
            return returned

    return call


def multirun(hydra: Hydra, function: Any, overrides: tuple[str, ...]) -> Any:
    return hydra.multirun(
        config_name="config",
        task_function=function,
        overrides=["dataset=sitrep", *overrides],
        with_log_configuration=False,
    )


def test_hydra_finds_the_plugins() -> None:
    found = Plugins.instance()
    for kind, name in ((Launcher, "SitrepbenchLauncher"), (Sweeper, "SitrepbenchSweeper")):
        assert [plugin.__name__ for plugin in found.discover(kind)].count(name) == 1


def test_a_sweep_reaches_the_task_as_one_batch_and_comes_back(
    sweep: Any, task: Task, tmp_path: Path
) -> None:
    (returned,) = sweep("model=linear_svm,complement_nb", "seed=range(1,4)")
    (batch,) = task.batches
    assert [(config.names["model"], config.seed) for config in batch] == [
        (model, seed) for model in ("linear_svm", "complement_nb") for seed in (1, 2, 3)
    ]
    assert [job.status for job in returned] == [
        JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.FAILED,
    ] * 2  # fmt: skip
    assert returned[1].return_value == 0.2
    assert returned[1].overrides == ["dataset=sitrep", "model=linear_svm", "seed=2"]
    with pytest.raises(ModelError, match="seed 3 fails"):
        _ = returned[2].return_value
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        ("seed=1,2", [1, 2]),
        ("seed=range(5)", [0, 1, 2, 3, 4]),
        ("seed=choice(4,5)", [4, 5]),
        ("seed=range(0,10,5)", [0, 5]),
        ("seed=7", [7]),
    ],
)
def test_the_grammar_is_hydras(sweep: Any, task: Task, given: str, seeds: list[int]) -> None:
    sweep(given)
    assert [config.seed for config in task.batches[0]] == seeds


def test_globs_name_choices(sweep: Any, task: Task) -> None:
    sweep("model=glob(majority*)", "features=none")
    assert [config.names["model"] for config in task.batches[0]] == [
        "majority",
        "majority_background",
    ]


def test_a_study_is_swept(sweep: Any, task: Task) -> None:
    sweep("experiments=seeds")
    assert [config.names["model"] for config in task.batches[0]] == [
        "keyword_rules",
        "majority_background",
    ]
    assert {config.study for config in task.batches[0]} == {"seeds"}


def test_an_interval_is_refused_with_what_to_do(sweep: Any, task: Task) -> None:
    with pytest.raises(HydraException, match=r"model.C=interval\(0,1\): an interval has no end"):
        sweep("model.C=interval(0,1)")
    assert task.batches == []


def test_batches_come_one_after_the_other(sweep: Any, task: Task) -> None:
    returned = sweep("seed=range(5)", "hydra.sweeper.max_batch_size=2")
    assert [[config.seed for config in batch] for batch in task.batches] == [[0, 1], [2, 3], [4]]
    # The failure in the second batch does not keep the third from being run.
    assert [[job.status.name for job in batch] for batch in returned] == [
        ["COMPLETED", "COMPLETED"],
        ["COMPLETED", "FAILED"],
        ["COMPLETED"],
    ]
    with pytest.raises(HydraException, match="max_batch_size=0: expected at least 1"):
        sweep("seed=1,2", "hydra.sweeper.max_batch_size=0")


def test_nothing_is_launched_where_a_combination_does_not_compose(sweep: Any, task: Task) -> None:
    with pytest.raises(ConfigError, match="2 of 4 combinations cannot be composed"):
        sweep("model=majority,absent", "seed=1,2")
    assert task.batches == []


@pytest.mark.slow
def test_other_sweepers_and_launchers_can_be_chosen(sweep: Any, task: Task) -> None:
    sweep("seed=1,2", "hydra/sweeper=basic")
    assert [config.seed for config in task.batches[0]] == [1, 2]
    sweep("seed=1,2", "hydra/launcher=basic", "results_dir=results")
    assert [config.seed for config in task.composed] == [1, 2]
    assert len(task.batches) == 1


def test_the_launcher_takes_no_other_task(sweep: Any) -> None:
    with pytest.raises(HydraException, match="belongs to 'sitrepbench run'"):
        sweep("seed=1,2", function=lambda config: 0)


def test_a_wrong_number_of_results_is_told(sweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "launch", lambda self, configs: [])
    with pytest.raises(HydraException, match="0 results came back for 2 jobs"):
        sweep("seed=1,2")


def test_the_plugins_import_nothing_but_hydra() -> None:
    """Hydra imports them at every start, for TAB completion as well."""
    code = (
        "import sys; from hydra.core.plugins import Plugins; Plugins.instance();"
        "import hydra_plugins.sitrepbench_launcher.launcher;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "hydra" in loaded
    assert not loaded & {"sitrepbench", "numpy", "sklearn", "pandas", "mlflow", "pydantic"}
