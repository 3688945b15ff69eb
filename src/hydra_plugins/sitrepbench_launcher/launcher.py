"""The launcher of ``sitrepbench run -m``: composes all jobs at once and hands them over."""

# No postponed annotations here: Hydra runs this module before it is in sys.modules, where the
# dataclass decorator would look them up.

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from sitrepbench.config.run_config import RunConfig
    from sitrepbench.config.sweeping import JobComposer


@dataclass
class SitrepbenchLauncherConf:
    """What can be set below ``hydra.launcher``: nothing; ``executor`` says where runs go."""

    _target_: str = "hydra_plugins.sitrepbench_launcher.launcher.SitrepbenchLauncher"


class LaunchedRun(Protocol):
    """What became of one run: its score for sweepers that search, or why it has none."""

    @property
    def score(self) -> float | None:
        """The headline score; None where the run failed."""

    @property
    def error(self) -> Exception | None:
        """Why the run failed; None where it did not."""


class TakesRuns(Protocol):
    """A task that is given all runs of a batch at once, as that of ``sitrepbench run`` is."""

    def launch(self, configs: "list[RunConfig]") -> Sequence[LaunchedRun]:
        """Run them, and return what became of each, in order."""


class SitrepbenchLauncher(Launcher):
    """Composes the jobs of a batch and hands them to the task, which plans and runs them.

    It does not start anything itself: resuming, executors and tracking are the task's.
    """

    def __init__(self) -> None:
        self._hydra_context: HydraContext | None = None
        self._config: DictConfig | None = None
        self._task: TakesRuns | None = None
        self._composer: JobComposer | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra gives a launcher.

        Raises
        ------
        HydraException
            When the task is not that of ``sitrepbench run``.
        """
        if not hasattr(task_function, "launch"):
            raise HydraException(
                "hydra/launcher=sitrepbench belongs to 'sitrepbench run' and cannot launch "
                f"{task_function!r}; choose another one, such as hydra/launcher=basic"
            )
        self._hydra_context = hydra_context
        self._config = config
        self._task = task_function
        self._composer = None

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        """Compose and run a batch of jobs.

        Parameters
        ----------
        job_overrides : sequence of sequence of str
            What each job sets.
        initial_job_idx : int
            How many jobs earlier batches had.

        Returns
        -------
        list of JobReturn
            Per job, in order; its value is the run's score, or raises why there is none.

        Raises
        ------
        ConfigError
            When jobs cannot be composed; no job of the batch is started then.
        """
        # Hydra imports plugins at every start, and composing imports models and data.
        from sitrepbench.config.sweeping import JobComposer

        if self._hydra_context is None or self._config is None or self._task is None:
            raise HydraException("the launcher was not set up; Hydra does so before a sweep")
        if self._composer is None:
            self._composer = JobComposer(self._hydra_context.config_loader, self._config)
        runs = self._task.launch(self._composer.compose(job_overrides))
        if len(runs) != len(job_overrides):
            raise HydraException(
                f"{len(runs)} results came back for {len(job_overrides)} jobs from number "
                f"{initial_job_idx} on"
            )
        return [
            _returned(overrides, run) for overrides, run in zip(job_overrides, runs, strict=True)
        ]


def _returned(overrides: Sequence[str], run: LaunchedRun) -> JobReturn:
    returned = JobReturn(overrides=list(overrides), task_name="sitrepbench")
    returned.return_value = run.score if run.error is None else run.error
    returned.status = JobStatus.COMPLETED if run.error is None else JobStatus.FAILED
    return returned


ConfigStore.instance().store(
    group="hydra/launcher",
    name="sitrepbench",
    node=SitrepbenchLauncherConf,
    provider="sitrepbench",
)
