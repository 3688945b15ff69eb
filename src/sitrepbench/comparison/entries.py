"""Entries: predictions that take part in a comparison, found by what people call them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from sitrepbench.comparison.file_looks import take_look
from sitrepbench.comparison.files import SUFFIXES, read_predictions
from sitrepbench.comparison.gold import (
    CROSS_VALIDATED,
    Gold,
    find_dataset,
    gold_of,
    gold_of_dataset,
)
from sitrepbench.comparison.submissions import CARD_SUFFIXES, SubmissionCard, read_submission
from sitrepbench.data.dataset import Dataset
from sitrepbench.errors import (
    ConfigError,
    DataError,
    SitrepBenchError,
    StoreError,
    closest,
    did_you_mean,
)
from sitrepbench.parts import shown_part
from sitrepbench.predictions import PredictionsTable
from sitrepbench.store.index import IndexRow
from sitrepbench.store.looks import LookLedger
from sitrepbench.store.record import RunRecord
from sitrepbench.store.results import ResultsStore
from sitrepbench.sweep.ledger import ledgers

Item = TypeVar("Item")
Found = TypeVar("Found")
Kind = Literal["run", "file", "submission"]
_DEV = "dev"
#: How many runs are named where several could be meant.
_NAMED = 5


@dataclass(frozen=True)
class Entry:
    """Predictions that take part in a comparison.

    Parameters
    ----------
    name : str
        What tables call it.
    predictions : PredictionsTable
        Of all parts of a run, or of the one part of a file.
    kind : {"run", "file", "submission"}
        Where they come from.
    record : RunRecord or None
        Of a run.
    card : SubmissionCard or None
        Of a submission.
    """

    name: str
    predictions: PredictionsTable
    kind: Kind
    record: RunRecord | None
    card: SubmissionCard | None


@dataclass(frozen=True)
class _Named:
    """What a name stands for: a run, a submission's card, or else a file."""

    name: str
    record: RunRecord | None = None
    card: SubmissionCard | None = None

    @property
    def file(self) -> Path:
        """Its predictions file."""
        return Path(self.name).expanduser() if self.card is None else self.card.predictions


def find_entries(
    names: Sequence[str],
    *,
    results_dir: str | Path,
    study: str | None = None,
    gold: Gold | None = None,
    dataset: str | None = None,
    part: str | None = None,
    reason: str = "",
) -> list[Entry]:
    """Return the entries that names stand for, in their order, each under a name of its own.

    Parameters
    ----------
    names : sequence of str
        Content keys (or their beginnings), run names, models of ``study``, predictions files,
        submission cards.
    results_dir : str or Path
        The results store; it need not exist where only files are named.
    study : str, optional
        Take runs of this study only, and take the name of a model for its run.
    gold : Gold, optional
        What files are held against; else that of ``dataset``, of the runs, or of the cards.
    dataset : str, optional
        As `find_dataset` takes it.
    part : str, optional
        The part that files predict; by default the development part that the runs share.
    reason : str
        Why files may be scored on a test split; such a look is recorded before anything is scored,
        and not for files that have problems.

    Raises
    ------
    SitrepBenchError
        With the problems of all names.
    """
    named = _collected(names, lambda name: _identified(name, Path(results_dir), study))
    _check_alone(named)
    tables = {at: one.record.predictions() for at, one in enumerate(named) if one.record}
    records = [one.record for one in named if one.record]
    others = [one for one in named if not one.record]
    if others and gold is None:
        gold = _gold(records, list(tables.values()), others, dataset=dataset, part=part)

    def entry(at: int) -> Entry:
        one = named[at]
        if one.record is not None:
            return Entry(one.record.run_name, tables[at], "run", one.record, None)
        assert gold is not None
        return _read(one, gold)

    entries = _collected(range(len(named)), entry)
    if gold is not None:
        ledger = LookLedger(Path(results_dir).expanduser())
        found = gold
        _collected(others, lambda one: take_look(one.file, found, ledger, reason=reason))
    return _told_apart(entries, named)


def common_part(tables: Iterable[PredictionsTable], part: str | None = None) -> str:
    """Return the part to compare on: as named, else the development part that all have.

    A test part is chosen by itself only where all have it and nothing else in common.

    Raises
    ------
    DataError
        When they have no part in common, or not the one that is named.
    """
    parts = [table.parts for table in tables]
    common = set(parts[0]).intersection(*parts)
    found = shown_part(common) if part is None else part
    if found in common:
        return found
    told = "; ".join(dict.fromkeys(", ".join(names) or "none" for names in parts))
    if part is None:
        raise DataError(f"the entries have no part in common; they have: {told}")
    everything = {name for names in parts for name in names}
    raise DataError(
        f"not all entries have the part {part!r}.{did_you_mean(part, everything - {part})} They "
        f"have: {told}"
    )


def _collected(items: Iterable[Item], find: Callable[[Item], Found]) -> list[Found]:
    """Return what is found for every item, or raise what went wrong with all of them."""
    found: list[Found] = []
    errors: list[SitrepBenchError] = []
    for item in items:
        try:
            found.append(find(item))
        except SitrepBenchError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise type(errors[0])("\n".join(dict.fromkeys(str(error) for error in errors)))
    return found


def _identified(name: str, results_dir: Path, study: str | None) -> _Named:
    if not name.strip():
        raise ConfigError("an empty name stands for nothing; see: sitrepbench list")
    suffix = Path(name).suffix.casefold()
    try:
        is_file = Path(name).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        is_file = False
    if suffix in CARD_SUFFIXES:
        return _Named(name, card=read_submission(Path(name).expanduser()))
    if is_file or suffix in SUFFIXES or "/" in name:
        return _Named(name)
    return _Named(name, record=_run(name, results_dir.expanduser(), study))


def _run(name: str, results_dir: Path, study: str | None) -> RunRecord:
    if not (results_dir / "runs").is_dir():
        raise StoreError(
            f"{name!r} is no file, and there is no results store {results_dir} to look for a run "
            "in. Name it with --results-dir DIR"
        )
    store = ResultsStore(results_dir)
    if study is None:
        return store.resolve(name)
    rows = _study_rows(store, study)
    found = [row for row in rows if row.key.startswith(name) or row.run_name == name]
    found = found or [row for row in rows if row.model == name]
    if not found:
        options = {row.run_name for row in rows} | {row.model for row in rows}
        near = closest(name, options)
        hint = f" Did you mean {near!r}?" if near else ""
        raise StoreError(
            f"no run or model {name!r} of the study {study!r} in {store.folder}.{hint} Its models "
            f"are: {', '.join(sorted({row.model for row in rows}))}"
        )
    if len(found) > 1:
        listed = ", ".join(f"{row.key[:8]} ({row.run_name})" for row in found[:_NAMED])
        more = " ..." if len(found) > _NAMED else ""
        raise StoreError(
            f"{name!r} could be any of {len(found)} runs of the study {study!r}: {listed}{more}. "
            "Name one by its key"
        )
    return store.resolve(found[0].key)


def _study_rows(store: ResultsStore, study: str) -> list[IndexRow]:
    """Return the runs of a study: those first computed for it, and those that its sweeps plan."""
    rows = store.rows()
    planned: dict[str, str] = {}
    studies = {row.study for row in rows}
    for ledger in ledgers(store.folder):
        try:
            plan = ledger.plan()
        except StoreError:
            continue  # `sitrepbench status` tells it; the runs themselves are in the store
        studies.add(plan.study)
        if plan.study == study:
            planned |= {run.key: run.run_name for run in plan.runs}
    if study not in studies:
        raise StoreError(
            f"no run of the study {study!r} in {store.folder}.{did_you_mean(study, studies)} It "
            f"has: {', '.join(sorted(studies)) or 'none'}"
        )
    return [
        row.named(planned.get(row.key, row.run_name), study)
        for row in rows
        if row.study == study or row.key in planned
    ]


def _check_alone(named: Sequence[_Named]) -> None:
    """Refuse what is named twice, under whatever names."""
    seen: dict[str, str] = {}
    for one in named:
        key = str(one.file.resolve()) if one.record is None else one.record.key
        if key in seen:
            raise ConfigError(
                f"{seen[key]!r} and {one.name!r} are the same predictions; name each once"
            )
        seen[key] = one.name


def _gold(
    records: Sequence[RunRecord],
    tables: Sequence[PredictionsTable],
    others: Sequence[_Named],
    *,
    dataset: str | None,
    part: str | None,
) -> Gold:
    """Return what files are held against: labels of the named dataset, the runs or the cards."""
    if part is None and tables:
        part = common_part(tables)
    cards = [one.card for one in others if one.card is not None]
    if part is None and cards:
        part = cards[0].part
    if dataset is not None:
        loaded = find_dataset(dataset)
        return gold_of_dataset(loaded, part or _default_part(loaded))
    if tables:
        record, table = records[0], tables[0]
        assert part is not None
        return gold_of(
            table,
            part,
            dataset=str(record.dataset.get("name", "")),
            digest=str(record.dataset.get("digest", "")),
            looks=[str(look.get("split", "")) for look in record.looks],
        )
    if cards:
        assert part is not None
        return gold_of_dataset(find_dataset(cards[0].dataset, beside=cards[0].path.parent), part)
    raise ConfigError(
        "predictions files hold no gold labels: name a dataset with --dataset NAME|FILE, or "
        "compare with a run of the store"
    )


def _default_part(dataset: Dataset) -> str:
    return _DEV if _DEV in dataset.splits else CROSS_VALIDATED


def _read(one: _Named, gold: Gold) -> Entry:
    """Read a file or a submission; nothing of it is scored yet."""
    card = one.card
    if card is not None:
        _check_card(card, gold)
    table = read_predictions(one.file, gold)
    if card is not None:
        return Entry(card.name, table, "submission", None, card)
    return Entry(one.file.stem, table, "file", None, None)


def _check_card(card: SubmissionCard, gold: Gold) -> None:
    if card.part != gold.part:
        raise DataError(
            f"{card.path}: is of part {card.part!r}, and the comparison is on {gold.part!r}. "
            "Another part: --part NAME"
        )
    digest = find_dataset(card.dataset, beside=card.path.parent).digest
    if gold.digest and digest != gold.digest:
        raise DataError(
            f"{card.path}: is of dataset {card.dataset!r} (digest {digest[:12]}), and the others "
            f"are of {gold.dataset!r} (digest {gold.digest[:12]})"
        )


def _told_apart(entries: list[Entry], named: Sequence[_Named]) -> list[Entry]:
    """Return the entries under different names: what tells two of one name apart is added."""
    marks: tuple[Callable[[Entry, _Named], str], ...] = (
        lambda entry, one: entry.kind if entry.record is None else entry.record.key[:8],
        lambda entry, one: str(one.file) if entry.record is None else entry.record.key,
    )
    made = list(entries)
    for mark in marks:
        count = Counter(entry.name for entry in made)
        if max(count.values(), default=1) == 1:
            break
        made = [
            replace(old, name=f"{old.name} ({mark(old, one)})") if count[now.name] > 1 else now
            for old, now, one in zip(entries, made, named, strict=True)
        ]
    return made
