"""The sweeper of ``sitrepbench run -m``: Hydra's basic one without what it does twice."""

# No postponed annotations here: Hydra runs this module before it is in sys.modules, where the
# dataclass decorator would look them up.

from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.errors import HydraException


@dataclass
class SitrepbenchSweeperConf:
    """What can be set below ``hydra.sweeper``; the same as Hydra's basic sweeper takes."""

    _target_: str = "hydra_plugins.sitrepbench_launcher.sweeper.SitrepbenchSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None


class SitrepbenchSweeper(BasicSweeper):
    """Every combination of ``a,b``, ``range(...)``, ``choice(...)`` and ``glob(...)``.

    Hydra's basic sweeper composes every job to see whether it can be, before the launcher does so
    again; it leaves a folder and a file behind; and one failed job hides all others. Here the
    launcher composes and says what cannot be, and what it returns is handed back whole.
    """

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Expand the combinations and give them to the launcher.

        Returns
        -------
        list of sequence of JobReturn
            Per batch what the launcher returned, failed jobs included.

        Raises
        ------
        HydraException
            When an override cannot be parsed, or is an interval.
        """
        if self.hydra_context is None or self.launcher is None:
            raise HydraException("the sweeper was not set up; Hydra does so before a sweep")
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        intervals = [str(item.input_line) for item in overrides if item.is_interval_sweep()]
        if intervals:
            raise HydraException(
                f"{', '.join(intervals)}: an interval has no end of values, and this sweeper runs "
                "all combinations. Give the values with choice(...) or range(start,stop,step), or "
                "choose a sweeper that draws from intervals with hydra/sweeper=..."
            )
        if self.max_batch_size is not None and self.max_batch_size < 1:
            raise HydraException(
                f"hydra.sweeper.max_batch_size={self.max_batch_size}: expected at least 1, or null"
            )
        returned: list[Sequence[JobReturn]] = []
        started = 0
        for batch in self.split_arguments(overrides, self.max_batch_size):
            returned.append(self.launcher.launch(batch, initial_job_idx=started))
            started += len(batch)
        return returned


ConfigStore.instance().store(
    group="hydra/sweeper", name="sitrepbench", node=SitrepbenchSweeperConf, provider="sitrepbench"
)
