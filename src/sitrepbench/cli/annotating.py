"""``sitrepbench annotation``: configuration, export and import."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.status import Status
from rich.text import Text

from sitrepbench.annotation.accounts import Accounts
from sitrepbench.annotation.exports import read_export
from sitrepbench.annotation.labelling_config import labelling_config
from sitrepbench.annotation.names import ANNOTATOR, LABELLED, SKIPPED, STATUS
from sitrepbench.annotation.resolving import Resolution, resolve
from sitrepbench.annotation.sentences import read_sentences
from sitrepbench.annotation.tables import (
    check_distinct,
    check_writable,
    long_table,
    named_path,
    write_beside,
    write_table,
    write_tasks,
)
from sitrepbench.annotation.tasks import tasks_of
from sitrepbench.errors import ConfigError
from sitrepbench.labels import LABELS
from sitrepbench.wording import one_line

#: Sentences that are listed before the rest are counted.
SHOWN = 20
INCOMPLETE = 1


def working(what: str) -> Status:
    """Return what shows on a terminal that something takes a while, and nothing elsewhere."""
    return Console(stderr=True).status(Text(one_line(what, 70)))


def config_command(parsed: argparse.Namespace) -> int:
    """Print or write the labelling configuration."""
    if parsed.dataset and parsed.labels:
        raise ConfigError("give a dataset or --labels, not both")
    labels = parsed.labels or LABELS
    if parsed.dataset:
        from sitrepbench.cli.data import open_dataset

        labels = open_dataset(parsed.dataset).dataset.labels
    text = labelling_config(labels)
    if parsed.output:
        write_beside(text.encode(), named_path(parsed.output))
        _say(f"{parsed.output}: paste it into Settings > Labeling Interface > Code")
    else:
        print(text, end="")
    return 0


def export_command(parsed: argparse.Namespace) -> int:
    """Write the tasks of a table."""
    output = named_path(parsed.output)
    check_distinct(output, inputs=[parsed.table])
    accounts = Accounts.of(parsed.accounts)
    with working(f"reading {parsed.table}"):
        sentences = read_sentences(
            parsed.table,
            labels=parsed.labels or LABELS,
            label_column=parsed.label_column,
            annotator=parsed.by,
            format=parsed.format,
            encoding=parsed.encoding,
        )
        write_tasks(tasks_of(sentences, existing=parsed.existing, accounts=accounts), output)
    documents = sentences.frame["document_id"].nunique()
    _say(f"{output}: {_count(len(sentences.frame), 'task')} of {_count(documents, 'document')}")
    answers = sentences.answers
    if len(answers):
        gone = {"none": "left out", "predictions": "as suggestions"}
        what = gone.get(parsed.existing, "as annotations")
        who = ", ".join(sorted(set(answers[ANNOTATOR])))
        _say(f"{_count(len(answers), 'answer')} of {who}: {what}")
    return 0


def import_command(parsed: argparse.Namespace) -> int:
    """Write what annotators gave; fail if --resolve left something that went nowhere."""
    output = named_path(parsed.output)
    check_writable(output, inputs=[parsed.export])
    undecided = None
    if parsed.undecided:
        if not parsed.resolve:
            raise ConfigError("--undecided is of use with --resolve only")
        undecided = named_path(parsed.undecided)
        check_writable(undecided, inputs=[parsed.export, output])
    labels = parsed.labels or LABELS
    accounts = Accounts.of(parsed.accounts)
    with working(f"reading {parsed.export}"):
        read = read_export(parsed.export, labels=labels, accounts=accounts)
    for note in read.notes:
        _say(f"Note: {note}")
    for name in sorted(set(accounts.by_name) - set(read.answers[ANNOTATOR])):
        _say(f"Note: the file has no answer of {name} (account {accounts.by_name[name]})")
    _say_answers(read.sentences, read.answers)
    if not parsed.resolve:
        write_table(long_table(read.sentences, read.answers), output)
        _say(f"{output}: a row per sentence and annotator")
        return 0
    found = resolve(read.sentences, read.answers, policy=parsed.resolve, labels=labels)
    unsettled = {*found.undecided["sentence_id"], *found.unlabelled}
    if undecided is not None:
        rest = read.sentences[read.sentences["sentence_id"].isin(unsettled)]
        write_table(long_table(rest, read.answers), undecided)
    write_table(found.table, output)
    _say_resolved(found, output)
    if not unsettled:
        return 0
    if undecided is not None:
        _say(f"{undecided}: {_count(len(unsettled), 'sentence')} still to be settled")
        return 0
    _say("They are in no file: give --undecided FILE, or settle them in Label Studio")
    return INCOMPLETE


def _say_answers(sentences: pd.DataFrame, answers: pd.DataFrame) -> None:
    """Tell who labelled and skipped how many, and how many sentences have how many labels."""
    labelled = answers[answers[STATUS] == LABELLED]
    for name in sorted(set(answers[ANNOTATOR])):
        own = answers[answers[ANNOTATOR] == name][STATUS]
        skipped = int((own == SKIPPED).sum())
        _say(f"{name}: {int((own == LABELLED).sum()):,} labelled, {skipped:,} skipped")
    times = Counter(labelled["sentence_id"])
    counts = Counter(times[name] for name in sentences["sentence_id"])
    overlap = ", ".join(f"{counts[number]:,} by {number}" for number in sorted(counts))
    _say(f"{_count(len(sentences), 'sentence')}, labelled by so many annotators: {overlap}")


def _say_resolved(found: Resolution, output: Path) -> None:
    _say(
        f"{output}: {_count(len(found.table), 'sentence')} settled ({found.n_adjudicated:,} by the "
        f"adjudicator, {found.n_differing:,} although not all agreed, {found.n_single:,} on one "
        "annotator's word)"
    )
    if len(found.undecided):
        _say(f"{_count(len(found.undecided), 'sentence')} undecided:")
        for row in found.undecided.head(SHOWN).to_dict("records"):
            _say(f"  {row['sentence_id']}: {row['labels']}")
        if len(found.undecided) > SHOWN:
            _say(f"  and {len(found.undecided) - SHOWN:,} more")
    if found.unlabelled:
        _say(f"{_count(len(found.unlabelled), 'sentence')} labelled by nobody")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _say(text: str) -> None:
    indent = " " * (len(text) - len(text.lstrip()))
    print(indent + one_line(text), file=sys.stderr)
