"""What a row of a leaderboard cost: seconds of computing, and looks at test splits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sitrepbench.config.targets import TARGET
from sitrepbench.store.looks import Look, LookKind
from sitrepbench.store.record import RunRecord

#: The tuner that searches nothing: a choice made before is fitted again.
_GIVEN = "Given"


@dataclass(frozen=True)
class Costs:
    """Seconds of computing, means over the runs of a row.

    Parameters
    ----------
    fit, predict : float
        Wall time of all cells of a run, features included, as if nothing were reused; NaN where
        it is not known, as for a submission.
    search : float
        Wall time of the searches for settings: 0 where nothing is tuned, NaN where settings that
        were chosen before were fitted again, for those searches were not timed here.
    """

    fit: float
    predict: float
    search: float

    @property
    def total(self) -> float:
        """Fit and predict, without the search: what one more use of the model costs."""
        return self.fit + self.predict

    @property
    def known(self) -> bool:
        """Whether fit and predict are known."""
        return math.isfinite(self.total)


#: Of what was computed elsewhere.
UNKNOWN = Costs(math.nan, math.nan, math.nan)


def costs_of(records: Sequence[RunRecord]) -> Costs:
    """Return the mean costs of the runs of one row; `UNKNOWN` without any."""
    if not records:
        return UNKNOWN
    seconds = [(one.seconds["fit"], one.seconds["predict"], _search(one)) for one in records]
    fit, predict, search = np.mean(np.asarray(seconds, dtype=np.float64), axis=0)
    return Costs(float(fit), float(predict), float(search))


def _search(record: RunRecord) -> float:
    if not record.tuning:
        return 0.0
    target = str(record.tuning["search"].get(TARGET, ""))
    return math.nan if target.rpartition(".")[2] == _GIVEN else float(record.tuning["seconds"])


@dataclass(frozen=True)
class LookCount:
    """How often test splits were looked at, by what the looks count as.

    Parameters
    ----------
    by_hand : int
        Asked for with a reason on the command line.
    declared : int
        Declared by a committed study.
    reproduced : int
        Numbers that a study had published before, computed again.
    """

    by_hand: int = 0
    declared: int = 0
    reproduced: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.by_hand + self.declared + self.reproduced

    def text(self) -> str:
        """Return the counts in words.

        >>> LookCount(by_hand=1, declared=2).text()
        '3 (2 declared by a study, 1 by hand)'
        >>> LookCount().text()
        'none'
        """
        told = [
            f"{count} {name}"
            for count, name in (
                (self.declared, "declared by a study"),
                (self.reproduced, "in reproductions"),
                (self.by_hand, "by hand"),
            )
            if count
        ]
        return f"{self.total} ({', '.join(told)})" if told else "none"


def count_looks(looks: Iterable[Look]) -> LookCount:
    """Count looks by their kind."""
    kinds = [look.kind for look in looks]
    return LookCount(
        by_hand=kinds.count(LookKind.by_hand),
        declared=kinds.count(LookKind.study),
        reproduced=kinds.count(LookKind.reproduction),
    )
