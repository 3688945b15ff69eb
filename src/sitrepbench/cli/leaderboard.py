"""``sitrepbench leaderboard``: the models of a study and its submissions, ranked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sitrepbench.cli.stored import open_store
from sitrepbench.comparison.annotators import AnnotatorScores, score_annotators
from sitrepbench.comparison.entries import Entry
from sitrepbench.comparison.file_looks import file_key, take_look
from sitrepbench.comparison.files import Gold, find_dataset, gold_of_dataset, read_predictions
from sitrepbench.comparison.leaderboard import Ledger, build_leaderboard
from sitrepbench.comparison.study_entries import study_entries
from sitrepbench.comparison.submissions import SubmissionCard, read_submission, submissions_of
from sitrepbench.data.corpus import load_corpus
from sitrepbench.data.shipped import load_shipped, shipped_card, shipped_names
from sitrepbench.errors import DataError, SitrepBenchError
from sitrepbench.parts import shown_part
from sitrepbench.report.leaderboard import print_leaderboard
from sitrepbench.report.leaderboard_files import board_json, check_outputs, write_outputs
from sitrepbench.reproduction.studies import StudyFiles, find_study
from sitrepbench.store.looks import LookLedger


def leaderboard_command(parsed: argparse.Namespace) -> int:
    """Rank a study's runs and submissions, print and write the board; return the exit code.

    Raises
    ------
    SitrepBenchError
        When runs are missing or are not to be compared, when a submission is of other data, or
        when a test split would be looked at without a reason.
    """
    outputs = check_outputs(parsed.output)
    config_dirs = [Path(parsed.config_dir)] if parsed.config_dir else []
    study = find_study(parsed.study, config_dirs)
    store = open_store(parsed.results_dir)
    named = None if parsed.results_dir == "results" else parsed.results_dir
    runs = study_entries(study, store, config_dirs=config_dirs, results_dir=named)
    part = parsed.part or _shown_part(runs)
    scored = _Scored.of(runs, part)
    ledger = LookLedger(store.folder)
    handed_in = _submissions(study, parsed.submission, scored)
    golds = [_gold(card, scored) for card in handed_in]
    submissions = [_entry(card, gold) for card, gold in zip(handed_in, golds, strict=True)]
    # What is broken is told before anything counts as a look, and a look before any score.
    for card, gold in zip(handed_in, golds, strict=True):
        take_look(card.predictions, gold, ledger, reason=parsed.reason or "")
    board = build_leaderboard(
        [*runs, *submissions],
        study=study.name,
        question=study.question,
        part=part,
        ledger=Ledger(tuple(ledger.read()), scored.dataset, scored.digest),
        annotators=_annotators(runs, scored),
        submission_keys={card.name: file_key(card.predictions) for card in handed_in},
    )
    if parsed.json:
        print(board_json(board), end="")
    else:
        print_leaderboard(board, console=Console())
    write_outputs(board, outputs)
    for path in outputs:
        print(f"Wrote {path}", file=sys.stderr)
    return 0


@dataclass(frozen=True)
class _Scored:
    """What the runs of a board were scored on."""

    part: str
    dataset: str
    digest: str

    @classmethod
    def of(cls, runs: Sequence[Entry], part: str) -> _Scored:
        record = runs[0].record
        described: Mapping[str, object] = {} if record is None else record.dataset
        return cls(part, str(described.get("name", "")), str(described.get("digest", "")))


def _shown_part(runs: Sequence[Entry]) -> str:
    """Return the part that lists show, of those that all runs have."""
    common = set(runs[0].predictions.parts).intersection(*(one.predictions.parts for one in runs))
    return shown_part(common or runs[0].predictions.parts)


def _submissions(study: StudyFiles, given: Sequence[str], scored: _Scored) -> list[SubmissionCard]:
    """Return the study's own submissions of the part, and those that were named.

    Raises
    ------
    DataError
        With every submission that was named for another part, or has another's name.
    """
    kept = submissions_of(study)
    named = [read_submission(path) for path in given]
    other = [card for card in named if card.part != scored.part]
    if other:
        lines = [f"  {card.path}: of part {card.part!r}" for card in other]
        raise DataError(
            f"the board ranks by part {scored.part!r}; submissions of other parts:\n"
            + "\n".join(lines) + "\nRank by their part: --part NAME"
        )  # fmt: skip
    cards = {card.path.resolve(): card for card in [*kept, *named] if card.part == scored.part}
    names = [card.name for card in cards.values()]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DataError(f"two submissions are called {', '.join(doubled)}: rename one of them")
    return list(cards.values())


def _gold(card: SubmissionCard, scored: _Scored) -> Gold:
    """Return the sentences that a submission has to predict; they must be the runs'."""
    try:
        gold = gold_of_dataset(find_dataset(card.dataset, beside=card.path.parent), card.part)
    except DataError as error:
        raise DataError(f"{card.path}: {error}") from error
    if gold.digest != scored.digest:
        raise DataError(
            f"{card.path}: made for dataset {card.dataset!r} with digest {gold.digest[:12]}, and "
            f"the runs were scored on {scored.dataset!r} with digest {scored.digest[:12]}"
        )
    return gold


def _entry(card: SubmissionCard, gold: Gold) -> Entry:
    """Read a submission's predictions, which scores nothing."""
    predictions = read_predictions(card.predictions, gold)
    return Entry(name=card.name, predictions=predictions, kind="submission", record=None, card=card)


def _annotators(runs: Sequence[Entry], scored: _Scored) -> AnnotatorScores | None:
    """Return how far the annotators of a shipped dataset agree; they are machines, all of them."""
    if scored.dataset not in shipped_names():
        return None
    try:
        if load_shipped(scored.dataset).digest != scored.digest:
            return None
        corpus = load_corpus(shipped_card(scored.dataset))
    except SitrepBenchError:
        return None  # the runs do not need it; `sitrepbench data` says what is wrong
    if corpus.annotations is None:
        return None
    table = runs[0].predictions.part(scored.part)
    documents = dict(zip(table.frame["sentence_id"], table.frame["document_id"], strict=True))
    return score_annotators(corpus.annotations, documents, table.labels, by_machine=True)
