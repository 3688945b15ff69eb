"""A leaderboard's numbers as texts, and what is said below it: the same in every format."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sitrepbench.comparison.annotators import AnnotatorScores
from sitrepbench.comparison.leaderboard import Leaderboard, Row
from sitrepbench.stats.intervals import INTERVAL_METHOD
from sitrepbench.stats.paired import PAIRED_METHOD
from sitrepbench.wording import one_line

_HANDED_IN = " (submission)"


def score_text(value: float) -> str:
    """Return a score with three digits; nothing where there is none."""
    return f"{value:.3f}" if math.isfinite(value) else ""


def interval_text(low: float, high: float) -> str:
    """Return an interval; nothing with a single document."""
    return f"[{low:.3f}, {high:.3f}]" if math.isfinite(low) and math.isfinite(high) else ""


def seconds_text(value: float) -> str:
    """Return seconds with about two digits; nothing where they are not known.

    >>> [seconds_text(value) for value in (0.0, 0.0123, 4.56, 321.0)]
    ['0', '0.012', '4.6', '321']
    """
    if not math.isfinite(value):
        return ""
    if value == 0:
        return "0"
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def row_name(row: Row, most: int | None = None) -> str:
    """Return a row's name on one line, with a mark for what anybody has handed in.

    A submission's name is of others' making. Where it is cut to so many cells, the mark stays.
    """
    if row.kind != "submission":
        return one_line(row.name, most)
    return one_line(row.name, None if most is None else most - len(_HANDED_IN)) + _HANDED_IN


def annotators_name(annotators: AnnotatorScores) -> str:
    """Return what the unranked row is called."""
    return "annotators agree (machines)" if annotators.by_machine else "annotators agree"


def title_of(board: Leaderboard) -> str:
    """Return the board's heading."""
    return f"Leaderboard of {board.study}: macro-F1 of {f'{board.dataset} {board.part}'.strip()}"


def counted(board: Leaderboard) -> str:
    """Return how much the board is scored on."""
    documents = f"{board.n_documents} document{'' if board.n_documents == 1 else 's'}"
    return f"{board.n_sentences:,} sentences of {documents}"


def findings(board: Leaderboard) -> Iterator[str]:
    """Yield what the board comes to, one sentence or two at a time."""
    yield from _best(board)
    if board.n_pairs:
        yield (
            f"{board.n_differ} of {board.n_pairs} pairs of rows can be told apart; rows that share "
            "a letter cannot."
        )
    yield from _optimism(board)
    if board.annotators is not None:
        yield _annotators(board.annotators)
    yield f"Looks at test splits of {board.dataset or 'this dataset'}: {board.looks.text()}."


def _best(board: Leaderboard) -> Iterator[str]:
    tied = [row for row in board.rows if row.is_tied_with_best]
    cheapest = board.cheapest
    if len(board.rows) == 1:
        return
    if len(tied) == 1:
        yield f"{row_name(tied[0])} is better than every other row."
    if cheapest is None:
        return
    seconds = f"{seconds_text(cheapest.costs.total)} s to fit and predict"
    if len(tied) == 1:
        yield f"Cheapest model tied with the best: the best itself, {cheapest.name} ({seconds})."
        return
    yield (
        f"Cheapest model tied with the best: {cheapest.name} ({seconds}), one of {len(tied)} rows "
        "that no row is told to be better than."
    )


def _optimism(board: Leaderboard) -> Iterator[str]:
    found = board.optimism
    if found is None:
        return
    yield (
        f"Best of {len(board.rows)}: the best score, {found.apparent:.3f}, is too high by about "
        f"{found.optimism:.3f} for having been chosen on these documents; {found.corrected:.3f} is "
        "what to expect of it."
    )


def _annotators(found: AnnotatorScores) -> str:
    who = "machines, " if found.by_machine else ""
    return (
        f"The annotators ({who}{len(found.annotators)} of them) agree with each other on "
        f"{found.n_sentences:,} of these sentences with macro-F1 {found.macro_f1:.3f}; that is not "
        "a score against the gold labels, so it has no rank, and it is no bound for models."
    )


def statements(board: Leaderboard) -> Iterator[str]:
    """Yield what the numbers mean: what is estimated, and how ties are judged."""
    yield (
        "What is estimated: the score of these predictions over all documents that might have "
        "been collected; another training set or seed is not in the intervals. Mean over the "
        f"repeats; 95 % interval by documents ({INTERVAL_METHOD})."
    )
    yield (
        f"How ties are judged: every pair on the same documents ({PAIRED_METHOD}), p-values "
        "adjusted for all pairs (Holm), 5 %. Ranks are intervals that hold for all rows at once "
        "with 95 %; a group is a run of rows in which no pair differs, which does not show them "
        "to be equal."
    )
    yield (
        "ECE: classwise calibration error. AURC: area under the risk-coverage curve. Both are "
        "better if small, and blank without probabilities. Seconds: mean per run, as if nothing "
        "were reused, on the machine that ran it."
    )
    yield from board.notes
