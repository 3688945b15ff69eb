"""``sitrepbench gc``: free what no study and no kept sweep needs, after asking."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sitrepbench.cli.lines import Column, one_line, paragraph_lines, print_lines, print_table
from sitrepbench.cli.stored import open_store
from sitrepbench.errors import SitrepBenchError, StoreError
from sitrepbench.store.failures import FailedRuns
from sitrepbench.store.index import IndexRow
from sitrepbench.store.results import LOCKS_FOLDER, ClaimedError, ResultsStore
from sitrepbench.store.waste import (
    Waste,
    WasteFinder,
    discard,
    discard_lock,
    shown_size,
    size_of,
)
from sitrepbench.sweep.ledger import (
    ATTEMPTS_FOLDER,
    SweepLedger,
    find_ledger,
    ledgers,
    may_go_on,
)
from sitrepbench.sweep.marks import Marks

DECLINED = FAILED = 1


@dataclass(frozen=True)
class Limits:
    """What ``gc`` may free.

    Parameters
    ----------
    older_than : float or None
        Leave what was made in the last so many days.
    forget : tuple of str
        Sweeps that are needed no more, by their ids or beginnings of them.
    """

    older_than: float | None = None
    forget: tuple[str, ...] = ()


@dataclass(frozen=True)
class Needs:
    """Who needs which runs.

    Parameters
    ----------
    by_sweeps, by_studies : set of str
        Content keys.
    unknown : dict
        Studies whose needs cannot be told, with the reason: all runs of that name stay.
    """

    by_sweeps: set[str]
    by_studies: set[str] = field(default_factory=set)
    unknown: dict[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> set[str]:
        """All keys that somebody needs."""
        return self.by_sweeps | self.by_studies


@dataclass(frozen=True)
class Plan:
    """What is to go.

    Parameters
    ----------
    runs : tuple of IndexRow
        Finished runs, which go under their claims.
    by_study : tuple of Waste
        The same by study, weighed.
    others : tuple of Waste
        Everything else by kind.
    """

    runs: tuple[IndexRow, ...]
    by_study: tuple[Waste, ...]
    others: tuple[Waste, ...]

    @property
    def kinds(self) -> tuple[Waste, ...]:
        """Everything."""
        return (*self.by_study, *self.others)

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(kind.size for kind in self.kinds)

    def weigh(self) -> int:
        """Return what is still there, bytes."""
        return sum(size_of(path) for kind in self.kinds for path in kind.paths)


LEDGERS = "ledgers of forgotten sweeps"
PARTIAL = "left by dead processes"
DAMAGED = "damaged records"
FAILURES = "notes of failures that are over"
ATTEMPTS = "marks of sweeps that ended"
LOCKS = "lock files that nobody holds"
SEARCHES = "searches that were interrupted (they begin anew)"
CACHE = "cached features and vectors (made anew when needed)"


def free_space(results_dir: str, limits: Limits, *, ask: bool, dry_run: bool) -> int:
    """Show what nobody needs, ask, and remove it; return the exit code.

    Raises
    ------
    StoreError
        When a sweep to forget is under way or does not exist, or a ledger cannot be read.
    """
    store = open_store(results_dir)
    forgotten = _to_forget(store, limits.forget)
    rows = store.rows()
    for message in store.unread:
        print(f"left alone: {message}", file=sys.stderr)
    needs = needs_of(store, rows, forgotten)
    finder = WasteFinder(store, older_than=limits.older_than)
    plan = plan_of(store, rows, needs, finder, forgotten)
    _print_plan(plan, needs, finder, kept=len(rows) - len(plan.runs))
    if not plan.kinds or dry_run:
        return 0
    if ask and not _agreed():
        return DECLINED
    # The answer may have taken its time, and a sweep may have begun meanwhile.
    planned = keys_of_sweeps(store, forgotten)
    runs = [row for row in plan.runs if row.key not in planned]
    return _free(plan, runs, store)


def needs_of(
    store: ResultsStore, rows: Sequence[IndexRow], forgotten: Sequence[SweepLedger]
) -> Needs:
    """Return who needs which runs; studies are asked only where sweeps leave a run over."""
    by_sweeps = keys_of_sweeps(store, forgotten)
    known = {row.key for row in rows} | FailedRuns(store.folder).keys()
    if known <= by_sweeps:
        return Needs(by_sweeps)
    # Composing and loading data takes seconds.
    from sitrepbench.config.combinations import committed_studies, study_configs
    from sitrepbench.preparing import prepare

    needs = Needs(by_sweeps)
    for study in committed_studies():
        try:
            needs.by_studies.update(prepare(config).key for config in study_configs(study))
        except SitrepBenchError as error:
            needs.unknown[study] = str(error)
    return needs


def keys_of_sweeps(store: ResultsStore, forgotten: Sequence[SweepLedger]) -> set[str]:
    """Return the keys that the kept sweeps of a store plan.

    Raises
    ------
    StoreError
        When a plan cannot be read, so that nobody knows what it needs.
    """
    gone = {ledger.folder for ledger in forgotten}
    keys: set[str] = set()
    for ledger in ledgers(store.folder):
        if ledger.folder in gone:
            continue
        try:
            keys.update(run.key for run in ledger.plan().runs)
        except StoreError as error:
            raise StoreError(
                f"{error}, so nobody knows which runs it needs, and nothing is freed. If it is "
                f"not needed: sitrepbench gc --forget {ledger.folder.name}"
            ) from error
    return keys


def plan_of(
    store: ResultsStore,
    rows: Sequence[IndexRow],
    needs: Needs,
    finder: WasteFinder,
    forgotten: Sequence[SweepLedger],
) -> Plan:
    """Return what can go."""
    runs = finder.runs(rows, needs.keys, needs.unknown)
    by_study: dict[str, list[Path]] = {}
    for row in runs:
        by_study.setdefault(row.study, []).append(store.runs / row.key)
    gone = {ledger.folder for ledger in forgotten if finder.owns(ledger.folder)}
    attempts = [
        path
        for ledger in ledgers(store.folder)
        if ledger.folder not in gone and not _is_at_work(ledger)
        for path in finder.below(ledger.folder / ATTEMPTS_FOLDER)
        if not _may_live(path)
    ]
    studies = [Waste.of(f"finished runs of study {name}", by_study[name]) for name in by_study]
    others = [
        Waste.of(LEDGERS, gone),
        Waste.of(PARTIAL, finder.partial()),
        Waste.of(DAMAGED, finder.damaged()),
        Waste.of(FAILURES, finder.failures(needs.keys, needs.unknown)),
        Waste.of(ATTEMPTS, attempts),
        Waste.of(LOCKS, finder.locks()),
        Waste.of(SEARCHES, finder.searches()),
        Waste.of(CACHE, finder.cached_features()),
    ]
    return Plan(tuple(runs), tuple(studies), tuple(kind for kind in others if kind.paths))


def _to_forget(store: ResultsStore, names: Iterable[str]) -> list[SweepLedger]:
    found = {}
    for name in names:
        ledger = find_ledger(store.folder, name)
        if _is_at_work(ledger):
            raise StoreError(
                f"sweep {ledger.folder.name} is under way and cannot be forgotten; interrupt it "
                "first (Ctrl-C)"
            )
        found[ledger.folder] = ledger
    return list(found.values())


def _is_at_work(ledger: SweepLedger) -> bool:
    try:
        return ledger.status().state == "running"
    except StoreError:
        return False  # no plan, so nobody works by it


def _may_live(attempt: Path) -> bool:
    """Return whether the parent or a worker of a start of a sweep may still run."""
    marks = Marks(attempt)
    return may_go_on(attempt) or any(map(marks.may_live, marks.under_way()))


def _print_plan(plan: Plan, needs: Needs, finder: WasteFinder, *, kept: int) -> None:
    if plan.kinds:
        columns = (
            Column("what", 50),
            Column("how many", 9, numbers=True),
            Column("disk", 10, numbers=True),
        )
        shown = [(w.what, f"{len(w.paths):,}", shown_size(w.size)) for w in plan.kinds]
        print_table(columns, [*shown, ("together", "", shown_size(plan.size))])
    else:
        print("Nothing to free.")
    lines = []
    if kept:
        lines.append(f"{kept:,} finished run(s) stay.")
    for study, why in needs.unknown.items():
        lines += paragraph_lines(f"All runs of the study {study} stay, for it cannot be told which "
                                 f"it needs: {one_line(why, 200)}")  # fmt: skip
    for folder in finder.linked:
        lines.append(f"{folder} is a link to somewhere else and is left alone.")
    print_lines(lines)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        print(
            "Nothing was freed: there is no terminal to ask on. Give --yes to free it.",
            file=sys.stderr,
        )
        return False
    print("Free it? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().casefold() in ("y", "yes"):
        return True
    print("Nothing was freed.")
    return False


def _free(plan: Plan, runs: Sequence[IndexRow], store: ResultsStore) -> int:
    """Remove everything; the store is whole after each step."""
    runs = [row for row in runs if _is_unclaimed(row.key, store)]
    # First the view, then the truth: what a kill leaves in the store is logged again.
    notes = _forget_in_mlflow(runs, store)
    gone = [row.key for row in runs if store.remove(row.key)]
    store.index.remove(*gone)
    for key in gone:
        discard_lock(store.folder / LOCKS_FOLDER / key)
    stuck = []
    for kind in plan.others:
        for path in kind.paths:
            if kind.what == LOCKS:
                discard_lock(path)  # one that is held by now is in use
            elif not _is_used_again(path, kind) and not discard(path, store):
                stuck.append(path)
    left = len(plan.runs) - len(gone)
    if left:
        notes.append(f"{left:,} run(s) were left alone: somebody needs or computes them now.")
    notes += [f"{path}: could not be removed" for path in stuck]
    freed = shown_size(plan.size - plan.weigh())
    print_lines([f"Freed {freed}, {len(gone):,} finished run(s) among it."])
    for note in notes:
        print_lines(paragraph_lines(note))
    return FAILED if stuck else 0


def _is_used_again(path: Path, kind: Waste) -> bool:
    """Return whether a sweep whose marks or ledger are to go was started meanwhile."""
    if kind.what == ATTEMPTS:
        return _may_live(path) or _is_at_work(SweepLedger(path.parent.parent))
    return kind.what == LEDGERS and _is_at_work(SweepLedger(path))


def _is_unclaimed(key: str, store: ResultsStore) -> bool:
    try:
        with store.claim(key, timeout=0):
            return True
    except ClaimedError:
        return False


def _forget_in_mlflow(runs: Sequence[IndexRow], store: ResultsStore) -> list[str]:
    """Mark the runs deleted in MLflow as far as that can be done; return what to say about it."""
    places: dict[str, list[IndexRow]] = {}
    for row in runs:
        node = _tracking_node(store.runs / row.key)
        if node:
            places.setdefault(node, []).append(row)
    if not places:
        return []
    from sitrepbench.config.run_config import build

    marked, notes = 0, []
    for node, tracked in sorted(places.items()):
        try:
            made = build(json.loads(node), path="tracking")
            settings = made(store.folder, tracked[0].study)
            if settings.database is not None and not settings.database.exists():
                continue
            # Imported here, for it brings mlflow along.
            from sitrepbench.tracking.log import forget_runs

            marked += forget_runs([row.key for row in tracked], settings)
        except (SitrepBenchError, TypeError) as error:
            notes.append(
                f"MLflow still shows {len(tracked):,} of the runs: {one_line(str(error), 300)}"
            )
    if marked:
        notes.append(
            f"{marked:,} run(s) are marked deleted in MLflow; 'mlflow gc' removes them from there."
        )
    return notes


def _tracking_node(folder: Path) -> str | None:
    """Return how a stored run was tracked, as JSON; None where it was not."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        content = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        node = content["config"]["tracking"]
        if node.get("_target_"):
            return json.dumps(node, sort_keys=True)
    return None
