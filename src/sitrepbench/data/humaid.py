"""HumAID: tweets about disasters with ten humanitarian classes, from the original files.

Alam, Qazi, Imran and Ofli: HumAID: Human-Annotated Disaster Incidents Data from Twitter with Deep
Learning Benchmarks. ICWSM 2021.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from sitrepbench.data.dataset import (
    CLUSTER,
    DOCUMENT_ID,
    DOMAIN,
    LABEL,
    SENTENCE_ID,
    SPLIT,
    TEXT,
    Dataset,
    canonical_frame,
    frame_digest,
)
from sitrepbench.data.duplicates import MIN_TOKENS, normalised_text
from sitrepbench.data.problems import REMEDIES_WITHOUT_OPTIONS, ProblemReport, shown
from sitrepbench.data.readers import read_bytes, read_rows
from sitrepbench.data.rows import Rows
from sitrepbench.data.validation import TableRules, verified_dataset
from sitrepbench.errors import ConfigError, DataError, did_you_mean
from sitrepbench.labels import LABELS

#: The classes, as the files spell them.
CLASSES = (
    "caution_and_advice",
    "displaced_people_and_evacuations",
    "infrastructure_and_utility_damage",
    "injured_or_dead_people",
    "missing_or_found_people",
    "not_humanitarian",
    "other_relevant_information",
    "requests_or_urgent_needs",
    "rescue_volunteering_or_donation_effort",
    "sympathy_and_support",
)
#: The classes that have a counterpart in the label scheme; nothing is a denial or a negotiation.
SCHEME = MappingProxyType(
    {
        "injured_or_dead_people": "casualty_report",
        "displaced_people_and_evacuations": "evacuation",
        "other_relevant_information": "background",
        "not_humanitarian": "background",
    }
)
SPLITS = ("train", "dev", "test")
LABEL_SETS = ("humaid", "scheme")
#: Stands for every event of the folder.
ALL = "all"

_COLUMNS = {TEXT: "tweet_text", LABEL: "class_label", SENTENCE_ID: "tweet_id"}
#: Tolerated, for the official files are taken as they are; each becomes a note.
_TOLERATED = ("conflicting_labels", "long_text")
#: What to do about problems, in words that fit a dataset whose files are not the user's own.
_REMEDIES = MappingProxyType(
    {
        **REMEDIES_WITHOUT_OPTIONS,
        "missing_file": "take the original files: three for every event",
        "missing_column": "take the original file; its header is tweet_id, tweet_text, class_label",
        "unknown_label": "take the original file; its ten classes are those of the paper",
        "byte_order_mark": "take the original file, which is UTF-8 without a mark",
        "invalid_utf8": "take the original file, which is UTF-8",
        "duplicate_id": "take the original files; a tweet stands in one split once",
        "ragged_row": "take the original file: three fields, separated by tabs, without quoting",
    }
)
_WHERE = (
    "HumAID does not come with the program: its licence is CC BY-NC-SA 4.0. Get it from "
    "https://crisisnlp.qcri.org/humaid_dataset and give the folder that holds the events with "
    "dataset.path=DIR, or in the environment as SITREPBENCH_HUMAID:\n"
    "  DIR/<event>/<event>_train.tsv\n"
    "  DIR/<event>/<event>_dev.tsv\n"
    "  DIR/<event>/<event>_test.tsv"
)


def load_humaid(
    path: str | Path | None,
    *,
    event: str | Sequence[str],
    labels: str = "humaid",
) -> Dataset:
    """Read and verify the original files of one event of HumAID, or of several.

    Every tweet is a document of its own. The official splits are kept as they are: where equal
    texts stand in several of them, or bear several labels, a note says how many.

    Parameters
    ----------
    path : str, Path or None
        The folder of the events: ``<path>/<event>/<event>_{train,dev,test}.tsv``, tab-separated
        without quoting.
    event : str or sequence of str
        The event, such as ``kerala_floods_2018``; several; or ``all``. It becomes ``domain``.
    labels : {"humaid", "scheme"}
        The ten classes, or those of them that have a counterpart in `sitrepbench.labels.LABELS`,
        mapped onto it; the rows of the other classes are left out, and counted in a note.

    Raises
    ------
    DataError
        When the files are not there, with where to get them; and with every problem of all files.
    ConfigError
        When there is no such event, with the nearest one, or no such label set.
    """
    if labels not in LABEL_SETS:
        raise ConfigError(
            f"dataset.labels={labels}: expected {' or '.join(LABEL_SETS)}."
            f"{did_you_mean(str(labels), LABEL_SETS)}"
        )
    folder = _folder(path)
    events = _events(folder, event)
    parts = _verified_files(folder, events)
    notes = [note for part in parts for note in part.notes]
    frame = pd.concat([part.frame for part in parts], ignore_index=True)
    _check_ids(frame, folder)
    kept: tuple[str, ...] = CLASSES
    if labels == "scheme":
        frame, dropped = _onto_scheme(frame)
        if frame.empty:
            raise DataError(
                f"{folder}: no tweet is left of {', '.join(events)}: {dropped[0]}\n"
                "What to do: take dataset.labels=humaid, or another event"
            )
        kept = LABELS
        notes += dropped
    frame[CLUSTER] = _clusters(frame)
    notes += _shared_texts(frame)
    canonical = canonical_frame(frame)
    name = f"humaid {events[0]}" if len(events) == 1 else f"humaid, {len(events)} events"
    return Dataset(
        name, canonical, kept, frame_digest(canonical, kept), str(folder), notes=tuple(notes)
    )


def _folder(path: str | Path | None) -> Path:
    if path is None or not str(path):
        raise DataError(f"dataset.path is not given. {_WHERE}")
    try:
        folder = Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(f"dataset.path={path}: {error}") from error
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder. {_WHERE}")
    if not _there(folder):
        raise DataError(f"{folder}: holds no event of HumAID. {_WHERE}")
    return folder


def _there(folder: Path) -> list[str]:
    """Return the events of a folder: what holds at least one file of its own name."""
    try:
        return sorted(
            item.name
            for item in folder.iterdir()
            if any((item / f"{item.name}_{split}.tsv").is_file() for split in SPLITS)
        )
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from error


def _events(folder: Path, event: str | Sequence[str]) -> list[str]:
    """Return the events that are asked for, each known to the folder."""
    known = _there(folder)
    if event == ALL:
        return known
    # A name of digits alone comes as a number.
    several = isinstance(event, Sequence) and not isinstance(event, str)
    asked = [str(name) for name in event] if several else [str(event)]
    if not asked:
        raise ConfigError("dataset.event is empty: give an event, several, or all")
    problems = [
        f"dataset.event: no event {shown(name)} in {folder}.{did_you_mean(name, known)}"
        for name in asked
        if name not in known
    ]
    problems += [
        f"dataset.event: {shown(name)} is named twice"
        for name in dict.fromkeys(asked)
        if asked.count(name) > 1
    ]
    if problems:
        raise ConfigError("\n".join([*problems, f"There are: {', '.join(known)}"]))
    return asked


def _verified_files(folder: Path, events: Iterable[str]) -> list[Dataset]:
    """Return every file verified by itself; the problems of all are told at once."""
    found, problems = [], []
    for event in events:
        for split in SPLITS:
            file = folder / event / f"{event}_{split}.tsv"
            try:
                found.append(_verified_file(file, event, split))
            except DataError as error:
                problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
    return found


def _verified_file(file: Path, event: str, split: str) -> Dataset:
    report = ProblemReport(str(file), allow=_TOLERATED, remedies=_REMEDIES)
    data = read_bytes(file, report)
    rows = None
    if data is not None:
        rows = read_rows(data, "tsv", encoding="utf-8", quoting="none", report=report)
    if rows is not None:
        absent = [name for name in _COLUMNS.values() if name not in rows.columns]
        if absent:
            found = ", ".join(shown(name) for name in rows.columns)
            message = f"no column {', '.join(absent)}; the header is: {found}"
            report.add("missing_column", message)
            report.raise_if_any()
        columns = dict(rows.columns)
        columns[DOCUMENT_ID] = columns[_COLUMNS[SENTENCE_ID]]
        columns[SPLIT], columns[DOMAIN] = [split] * len(rows), [event] * len(rows)
        rows = Rows(columns, rows.numbers, rows.lines)
    return verified_dataset(
        rows,
        rules=TableRules(columns=_COLUMNS, labels=CLASSES, can_map=False),
        report=report,
        name=f"{event} {split}",
        source=str(file),
    )


def _check_ids(frame: pd.DataFrame, folder: Path) -> None:
    """Refuse a tweet that stands in two files; within one, that was reported with its row."""
    again = frame[frame[SENTENCE_ID].duplicated(keep=False)]
    if again.empty:
        return
    report = ProblemReport(str(folder), remedies=_REMEDIES)
    for name, rows in again.groupby(SENTENCE_ID, sort=True):
        places = [
            f"{event} {split}" for event, split in zip(rows[DOMAIN], rows[SPLIT], strict=True)
        ]
        report.add("duplicate_id", f"tweet {name} stands in {' and in '.join(places)}")
    report.raise_if_any()


def _onto_scheme(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that have a label of the scheme, and a note on the others."""
    counts = frame.loc[~frame[LABEL].isin(SCHEME), LABEL].value_counts().sort_index()
    mapped = frame.assign(**{LABEL: frame[LABEL].map(dict(SCHEME)).astype("str")})
    kept = mapped[frame[LABEL].isin(SCHEME)].reset_index(drop=True)
    if counts.empty:
        return kept, []
    told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return kept, [
        f"{counts.sum():,} of {len(frame):,} tweets are left out: their classes have no "
        f"counterpart in the label scheme ({told})"
    ]


def _clusters(frame: pd.DataFrame) -> list[str]:
    """Return a cluster per tweet: within an event's split, tweets of a like text share one.

    Across splits they do not, so that the official splits stay as they are.
    """
    first: dict[tuple[str, str, str], str] = {}
    columns = (frame[DOMAIN], frame[SPLIT], frame[TEXT], frame[SENTENCE_ID])
    clusters = []
    for event, split, text, name in zip(*columns, strict=True):
        key = normalised_text(text)
        alike = (event, split, key if len(key.split()) >= MIN_TOKENS else f"#{name}")
        clusters.append(first.setdefault(alike, name))
    return clusters


def _shared_texts(frame: pd.DataFrame) -> list[str]:
    """Return a note where a text stands in more than one official split."""
    keys = frame[TEXT].map(normalised_text)
    long = keys.str.count(" ") >= MIN_TOKENS - 1
    splits = frame[SPLIT][long].groupby(keys[long]).nunique()
    shared = int((splits > 1).sum())
    if not shared:
        return []
    return [
        f"{shared:,} text(s) of {MIN_TOKENS} words or more stand in several official splits, which "
        "are kept as they are; scores on them flatter a model that learns by heart"
    ]
