"""The model card: what a model was made of, how good it is, and what it is not for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sitrepbench.labels import DEFINITIONS
from sitrepbench.metrics.calibration import CALIBRATION_METHOD, Calibration
from sitrepbench.metrics.summary import Summary

#: The scores of the first table, and how people call them.
_SCORES = {
    "macro_f1": "macro-F1",
    "lenient_macro_f1": "lenient macro-F1 (a second label of the annotators counts as right)",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "mcc": "Matthews correlation",
    "kappa": "Cohen's kappa",
    "log_loss": "log loss (nats)",
    "brier": "Brier score (0 to 2)",
}
#: Mistakes that are told, of each part.
_MISTAKES = 3
_CALIBRATION = {"classwise_ece": "classwise ECE", "adaptive_ece": "adaptive ECE"}


@dataclass(frozen=True)
class CardFacts:
    """What a card tells, as plain values.

    Parameters
    ----------
    name, key, command, created : str
        Of the model: its name, content key, the command that made it, and when (UTC).
    about : mapping
        ``model``, ``features``, ``protocol``, ``tuner``, ``calibrator``: the choices by name.
    sources : sequence of str
        What the model and its features go back to.
    data : mapping
        ``name, version, digest, source, licence, attribution, citation, sentences, documents``.
    labels : mapping of str to int
        Training sentences by label.
    n_rows, n_documents : int
        What was trained on.
    n_evaluated : int
        The most rows that a fit of the evaluation run had.
    summaries : mapping of str to Summary
        The evaluation, by part.
    calibrations : mapping of str to Calibration
        Likewise, where there are probabilities.
    looks : sequence of mapping
        The test splits that the evaluation read.
    settings : mapping
        What a tuner chose.
    calibrator : mapping of str to float
        The numbers of the calibrator worth knowing.
    versions : mapping
        Of what decides predictions.
    reads : sequence of str
        The columns that the model reads.
    reads_documents : bool
        Whether rows of a document must come together.
    kept_as : str
        ``skops`` or ``pickle``.
    notes : sequence of str
        What a reader should know.
    encoders : sequence of str
        The encoders that it reads outside its folder, but the packaged one.
    """

    name: str
    key: str
    command: str
    created: str
    about: Mapping[str, str]
    sources: Sequence[str]
    data: Mapping[str, Any]
    labels: Mapping[str, int]
    n_rows: int
    n_documents: int
    n_evaluated: int
    summaries: Mapping[str, Summary]
    calibrations: Mapping[str, Calibration]
    looks: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]
    calibrator: Mapping[str, float]
    versions: Mapping[str, str]
    reads: Sequence[str]
    reads_documents: bool
    kept_as: str
    notes: Sequence[str]
    encoders: Sequence[str] = ()


def card_text(facts: CardFacts) -> str:
    """Return a model card in Markdown."""
    about = ", ".join(f"{group} {name}" for group, name in facts.about.items())
    blocks = [
        f"# {_cell(facts.name)}",
        "Tells what a sentence of a news report mainly reports: one of "
        f"{', '.join(_code(label) for label in facts.labels)}. Made of {about}.",
        _use(facts),
        _data(facts),
        _evaluation(facts),
        _calibration(facts),
        _limits(facts),
        _using(facts),
        _making(facts),
    ]
    return "\n\n".join(blocks) + "\n"


def _use(facts: CardFacts) -> str:
    reads = ", ".join(f"`{name}`" for name in facts.reads)
    together = (
        " Sentences of one document must be asked about together, with `document_id` and "
        "`position`: the model looks at neighbours."
        if facts.reads_documents
        else " It takes every sentence by itself."
    )
    return f"""\
## Intended use

Sorting sentences of news reports for reading, searching and counting by people who check what
they count, and research on methods. The unit is one sentence as printed; the model reads
{reads}.{together}

## Out-of-scope use

* Decisions about persons, targets, aid or asylum, or any decision that nobody checks.
* Taking a label for a fact: the model tells what a sentence *says*, whoever says it, true or not.
* Counting casualties or events: one event is told in many sentences, and some tell of none.
* Other languages, social media, transcripts and other kinds of text than its training data, before
  it was evaluated on them.
* Watching, profiling or sanctioning people or media for what they write."""


def _data(facts: CardFacts) -> str:
    data = facts.data
    told = [
        ("dataset", f"{data['name']} {data.get('version') or ''}".strip()),
        ("language", data.get("language")),
        ("digest (sha256)", f"`{data['digest']}`"),
        ("source", data.get("source")),
        ("licence", data.get("licence") or "not stated: ask whoever gave you the data"),
        ("attribution", data.get("attribution")),
        ("citation", data.get("citation")),
        ("trained on", f"{facts.n_rows:,} sentences of {facts.n_documents:,} documents"),
    ]
    rows = [(name, _cell(value)) for name, value in told if value]
    labels = [
        (_code(label), f"{count:,}", f"{count / facts.n_rows:.1%}")
        for label, count in facts.labels.items()
    ]
    return "\n\n".join(
        [
            "## Training data",
            _table(("", ""), rows),
            "All training rows of the configuration; no test split was read for training.",
            _table(("label", "sentences", "share"), labels),
            *_scheme(facts),
        ]
    )


def _scheme(facts: CardFacts) -> list[str]:
    """Return what the labels mean, where they are those of the scheme."""
    known = {definition.name: definition.reports for definition in DEFINITIONS}
    lines = [f"* {_code(label)}: {known[label]}" for label in facts.labels if label in known]
    return ["\n".join(lines)] if len(lines) == len(facts.labels) else []


def _evaluation(facts: CardFacts) -> str:
    had = (
        "fitted on the same sentences and scored on documents held out. The model of this card was "
        "fitted anew, in the same way."
        if facts.n_evaluated == facts.n_rows
        else f"fitted on at most {facts.n_evaluated:,} of these sentences at a time and scored on "
        f"documents held out. The model of this card had all {facts.n_rows:,}; it has not itself "
        "been scored."
    )
    blocks = ["## Evaluation", f"Run `{facts.key}`: the same configuration, {had}"]
    for part, summary in facts.summaries.items():
        blocks += _part(part, summary)
    for look in facts.looks:
        blocks.append(f"The test split `{look['split']}` was read: {_cell(look['reason'])}.")
    return "\n\n".join(blocks)


def _part(part: str, summary: Summary) -> list[str]:
    """Return the scores of a part."""
    rows = [
        (shown, f"{summary.metrics[name]:.3f}", _interval(summary.intervals.get(name)))
        for name, shown in _SCORES.items()
        if name in summary.metrics
    ]
    scored = f"{summary.n_sentences:,} sentences of {summary.n_documents:,} documents"
    scored += f", {summary.n_repeats} repeats" if summary.n_repeats > 1 else ""
    labels = [
        (
            _code(row["label"]),
            *(f"{row[name]:.3f}" for name in ("precision", "recall", "f1")),
            _interval((row["f1_low"], row["f1_high"])),
            f"{row['support']:,.0f}",
        )
        for row in _rows(summary)
    ]
    return [
        f"### {part}: {scored}",
        _in_words(summary),
        _table(("score", "value", "95 % interval"), rows),
        _table(("label", "precision", "recall", "F1", "95 % interval", "sentences"), labels),
        "Precision: of the sentences that get the label, the share that have it. Recall: of those "
        "that have it, the share that get it. F1 is the harmonic mean of both, macro-F1 the mean "
        f"of the labels' F1. Intervals: {summary.interval_method}.",
        *(f"* {_cell(note)}" for note in summary.notes),
    ]


def _in_words(summary: Summary) -> str:
    """Return what the scores come to for somebody who reads no scores."""
    counts = summary.confusion.to_numpy(dtype=float)
    gold = counts.sum(axis=1)
    most = int(gold.argmax())
    mistakes = sorted(
        (
            (row, column)
            for row, column in np.ndindex(counts.shape)
            if row != column and counts[row, column] > 0
        ),
        key=lambda place: -counts[place],
    )
    names = [_code(label) for label in summary.labels]
    listed = [
        f"* {names[row]} taken for {names[column]}: {counts[row, column]:,.0f} of "
        f"{gold[row]:,.0f} sentences"
        for row, column in mistakes[:_MISTAKES]
    ]
    told = (
        f"Of 100 sentences {100 * summary.metrics['accuracy']:.0f} get the label that the "
        f"annotators gave; always saying {names[most]} would be right for "
        f"{100 * gold[most] / gold.sum():.0f}."
    )
    return "\n".join([f"{told} The most frequent mistakes:\n", *listed]) if listed else told


def _calibration(facts: CardFacts) -> str:
    blocks = ["## Calibration"]
    if not facts.calibrations:
        blocks.append("The model has no probabilities; it says a label and not how sure it is.")
        return "\n\n".join(blocks)
    mended = facts.about.get("calibrator", "none")
    blocks.append(
        "Probabilities are the model's own, not calibrated."
        if mended == "none"
        else f"Probabilities are mended by `{mended}`, fitted on held-out answers about the "
        "training rows; the label stays the model's own."
    )
    told = ", ".join(f"{name} {value:.3g}" for name, value in facts.calibrator.items())
    blocks += [f"Of this model: {told}."] if told else []
    blocks.append(
        "Calibrated means: of the sentences that get a label with a probability of 0.8, 80 of 100 "
        "have it. The errors below tell how far the probabilities are from that on average, 0 at "
        "best; the last column is what right probabilities would show on as few sentences."
    )
    for part, calibration in facts.calibrations.items():
        rows = [
            (
                shown,
                f"{getattr(calibration, name):.3f}",
                _interval(calibration.intervals[name]),
                f"{calibration.if_calibrated[name]:.3f}",
            )
            for name, shown in _CALIBRATION.items()
        ]
        blocks.append(_table((part, "value", "95 % interval", "if calibrated"), rows))
    blocks.append(f"Intervals are of the true value ({CALIBRATION_METHOD}).")
    return "\n\n".join(blocks)


def _limits(facts: CardFacts) -> str:
    weak = [
        (part, row["label"], row["f1"])
        for part, summary in facts.summaries.items()
        for row in _rows(summary)
        if math.isfinite(row["f1"]) and row["f1"] < 0.6
    ]
    lines = [
        "* The scores hold for text like the evaluation's. Expect lower ones on other sources, and "
        "label some hundred sentences of your own by hand to see.",
        "* Labels are exclusive: a sentence that reports two things gets one label.",
        "* Shares of predicted labels are biased estimates of true shares wherever precision and "
        "recall differ.",
    ]
    for label, count in facts.labels.items():
        if count < 100:
            lines.append(f"* {_code(label)} was learned from {count} sentences only.")
    lines += [f"* {_code(label)} has an F1 of {f1:.2f} on {part}." for part, label, f1 in weak]
    if facts.notes:
        lines += ["", "Said while it was evaluated and fitted:", ""]
        lines += [f"* {_cell(note)}" for note in facts.notes]
    return "## Limits\n\n" + "\n".join(lines)


def _using(facts: CardFacts) -> str:
    allowed = " --allow-pickle" if facts.kept_as == "pickle" else ""
    allowed += " --encoder ENCODER" if facts.encoders else ""
    read = ", ".join(_code(name) for name in facts.encoders)
    needed = (
        f"\n\nIt reads an encoder that does not lie in its folder, at training {read}: ENCODER is "
        "where the same files are, a folder or a name on the Hugging Face hub."
        if facts.encoders
        else ""
    )
    return f"""\
## How to use it

```
sitrepbench predict FOLDER reports.csv{allowed} --output labelled.csv
```

or `sitrepbench.trained.load_trained("FOLDER").answer(frame)` in Python, or as an MLflow model. Read
a sample of its labels against the sentences before you count anything.{needed}"""


def _making(facts: CardFacts) -> str:
    versions = [(name, version) for name, version in facts.versions.items()]
    lines = [
        "## How it was made",
        f"```\n{facts.command}\n```",
        _table(
            ("", ""),
            [
                ("content key of the evaluation run", f"`{facts.key}`"),
                ("made", facts.created),
                ("kept as", facts.kept_as),
                *((f"setting `{path}`", f"{value}") for path, value in facts.settings.items()),
            ],
        ),
        _table(("library", "version"), versions),
    ]
    if facts.sources:
        lines.append("Sources:\n\n" + "\n".join(f"* {_cell(source)}" for source in facts.sources))
    return "\n\n".join(lines)


def _rows(summary: Summary) -> list[dict[str, Any]]:
    rows = summary.per_label.to_dict(orient="records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    """Return a text as it may stand in a table or a list: on one line, without markup of tables."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _code(label: Any) -> str:
    """Return a label as code that may stand in a table."""
    return "`" + _cell(label).replace("`", "'") + "`"


def _interval(found: tuple[float, float] | None) -> str:
    if found is None or not all(map(math.isfinite, found)):
        return ""
    return f"{found[0]:.3f} to {found[1]:.3f}"
