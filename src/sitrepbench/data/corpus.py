"""A corpus: a dataset whose card also lists its documents and its annotations, and their checks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sitrepbench.data.agreement import ADJUDICATOR, ANNOTATOR
from sitrepbench.data.card import DatasetCard, load_card
from sitrepbench.data.dataset import (
    CLUSTER,
    DOCUMENT_ID,
    DOMAIN,
    LABEL,
    POSITION,
    SECONDARY,
    SENTENCE_ID,
    SPLIT,
    Dataset,
)
from sitrepbench.data.shipped import load_card_dataset
from sitrepbench.errors import DataError

DOCUMENT_COLUMNS = ("document_id", "conflict", "register", "outlet", "date", "title")
ANNOTATION_COLUMNS = (
    "sentence_id",
    "annotator",
    "label",
    "secondary",
    "needs_context",
    "reason",
)


@dataclass(frozen=True)
class Corpus:
    """A dataset with what lies behind it; the tables are None where the card lists none."""

    dataset: Dataset
    card: DatasetCard
    documents: pd.DataFrame | None
    annotations: pd.DataFrame | None


def load_corpus(card_path: Path) -> Corpus:
    """Load a corpus by its card; checksums are verified first.

    Raises
    ------
    DataError
        As `load_card_dataset` does, or when a listed table lacks a column.
    """
    dataset = load_card_dataset(card_path)
    card = load_card(card_path)
    return Corpus(
        dataset,
        card,
        _table(card, card_path, role="documents", columns=DOCUMENT_COLUMNS),
        _table(card, card_path, role="annotations", columns=ANNOTATION_COLUMNS),
    )


def _table(
    card: DatasetCard, card_path: Path, *, role: str, columns: tuple[str, ...]
) -> pd.DataFrame | None:
    files = [file for file in card.files if file.role == role]
    if not files:
        return None
    path = card_path.parent / files[0].path
    try:
        text = path.read_text(encoding="utf-8")
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable table: {error}") from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise DataError(f"{path}: lacks the column(s) {', '.join(missing)}")
    return table


def corpus_problems(corpus: Corpus) -> list[str]:
    """Return everything that is inconsistent in a corpus, one line each; empty if it is sound."""
    frame = corpus.dataset.frame
    problems = [*_position_problems(frame), *_split_problems(corpus.dataset)]
    if corpus.documents is not None:
        problems += _document_problems(frame, corpus.documents)
    if corpus.annotations is not None:
        problems += _annotation_problems(frame, corpus.annotations, corpus.dataset.labels)
    return problems


def _position_problems(frame: pd.DataFrame) -> list[str]:
    expected = frame.groupby(DOCUMENT_ID).cumcount()
    start = frame.groupby(DOCUMENT_ID)[POSITION].transform("min")
    odd = frame.loc[frame[POSITION] - start != expected, DOCUMENT_ID].unique()
    if not len(odd):
        return []
    return [f"{len(odd)} document(s) have gaps in their positions, the first is {odd[0]!r}"]


def _split_problems(dataset: Dataset) -> list[str]:
    frame, problems = dataset.frame, []
    if not dataset.splits:
        return []
    for column, what in ((DOCUMENT_ID, "document"), (CLUSTER, "near-duplicate cluster")):
        named = frame[frame[column] != ""]
        spread = named.groupby(column)[SPLIT].nunique()
        problems += [
            f"{what} {name!r} stands in several splits" for name in spread[spread > 1].index
        ]
    for split in dataset.splits:
        present = set(frame.loc[frame[SPLIT] == split, LABEL])
        missing = [name for name in dataset.labels if name not in present]
        if missing:
            problems.append(
                f"split {split!r} has no sentence with the label(s) {', '.join(missing)}"
            )
    return problems


def _document_problems(frame: pd.DataFrame, documents: pd.DataFrame) -> list[str]:
    problems = []
    doubled = documents.loc[documents["document_id"].duplicated(), "document_id"]
    problems += [f"document {name!r} is listed twice" for name in doubled]
    listed, used = set(documents["document_id"]), set(frame[DOCUMENT_ID])
    problems += [f"document {name!r} is not listed" for name in sorted(used - listed)]
    problems += [f"document {name!r} has no sentences" for name in sorted(listed - used)]
    dates = pd.to_datetime(documents["date"], format="%Y-%m-%d", errors="coerce")
    for name in documents.loc[dates.isna(), "document_id"]:
        problems.append(f"document {name!r}: its date is not of the form 2000-12-31")
    for column in ("outlet", "title"):
        for name in documents.loc[documents[column].str.strip() == "", "document_id"]:
            problems.append(f"document {name!r} has no {column}")
    known = documents.drop_duplicates("document_id").set_index("document_id")
    for column, other in ((DOMAIN, "conflict"), ("register", "register"), (SPLIT, "split")):
        if column not in frame.columns or other not in documents.columns:
            continue
        told = frame.groupby(DOCUMENT_ID)[column].agg(lambda values: "|".join(sorted(set(values))))
        for name in sorted(used & listed):
            if told[name] != known.loc[name, other]:
                problems.append(
                    f"document {name!r}: {other} is {known.loc[name, other]!r} in the list of "
                    f"documents and {told[name]!r} at its sentences"
                )
    return problems


def _annotation_problems(
    frame: pd.DataFrame, annotations: pd.DataFrame, label_set: tuple[str, ...]
) -> list[str]:
    problems = []
    known = set(frame[SENTENCE_ID])
    for name in sorted(set(annotations["sentence_id"]) - known):
        problems.append(f"annotations of {name!r}, which is no sentence")
    problems += _value_problems(annotations, label_set)
    by_annotators = annotations[annotations[ANNOTATOR] != ADJUDICATOR]
    for name in by_annotators[by_annotators.duplicated(["sentence_id", ANNOTATOR])]["sentence_id"]:
        problems.append(f"sentence {name!r} is labelled twice by one annotator")
    # An erratum adds a row of the adjudicator; the last one holds.
    settled = annotations[annotations[ANNOTATOR] == ADJUDICATOR]
    settled = settled.drop_duplicates("sentence_id", keep="last").set_index("sentence_id")
    given = by_annotators.groupby("sentence_id")
    counts = given[ANNOTATOR].nunique()
    labels = given["label"].agg(lambda values: sorted(set(values)))
    shared = given["secondary"].agg(lambda values: _shared_secondary(values, label_set))
    for name, label, secondary in zip(
        frame[SENTENCE_ID], frame[LABEL], frame[SECONDARY], strict=True
    ):
        if counts.get(name, 0) < 2:
            problems.append(f"sentence {name!r} has {counts.get(name, 0)} annotation(s), not two")
        elif name in settled.index:
            row = settled.loc[name]
            if (row["label"], row["secondary"]) != (label, secondary):
                problems.append(f"sentence {name!r} does not bear what the adjudicator settled")
            if not row["reason"]:
                problems.append(f"sentence {name!r} was adjudicated without a reason")
        elif len(labels[name]) > 1:
            problems.append(f"sentence {name!r}: the annotators differ and nobody settled it")
        elif labels[name] != [label]:
            problems.append(f"sentence {name!r} does not bear the label that all gave it")
        elif shared[name] != secondary:
            problems.append(f"sentence {name!r} does not bear the secondary labels that all gave")
    return problems


def _value_problems(annotations: pd.DataFrame, labels: tuple[str, ...]) -> list[str]:
    problems = []
    for row in annotations.to_dict("records"):
        where = f"annotation of {row['sentence_id']!r} by {row[ANNOTATOR]!r}"
        if row["label"] not in labels:
            problems.append(f"{where}: unknown label {row['label']!r}")
        odd = [name for name in str(row["secondary"]).split("|") if name and name not in labels]
        if odd:
            problems.append(f"{where}: unknown secondary label(s) {', '.join(odd)}")
        if row["needs_context"] not in ("yes", "no"):
            problems.append(f"{where}: needs_context is {row['needs_context']!r}, not yes or no")
    return problems


def _shared_secondary(values: pd.Series[str], labels: tuple[str, ...]) -> str:
    common = set.intersection(*(set(value.split("|")) for value in values))
    return "|".join(label for label in labels if label in common)
