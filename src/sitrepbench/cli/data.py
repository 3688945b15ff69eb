"""``sitrepbench data``: stats, validate and audit, for shipped datasets and a user's own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.data.agreement import measure_agreement
from sitrepbench.data.audit import Audit, audit_dataset
from sitrepbench.data.card import CARD_FILE
from sitrepbench.data.corpus import Corpus, corpus_problems, load_corpus
from sitrepbench.data.dataset import Dataset
from sitrepbench.data.shipped import shipped_card
from sitrepbench.data.statistics import DatasetStatistics, describe_dataset
from sitrepbench.data.table import load_table
from sitrepbench.errors import DataError

#: Problems shown before the rest are counted.
SHOWN = 20
#: Column heads that would not fit into 80 columns.
SHORT = {
    "casualty_report": "casual.",
    "negotiation": "negot.",
    "evacuation": "evacu.",
    "background": "backgr.",
    "documents": "docs",
    "sentences": "sent.",
}


@dataclass(frozen=True)
class Opened:
    """A dataset as it was named, with its corpus where a card describes it."""

    dataset: Dataset
    corpus: Corpus | None


def open_dataset(names: Sequence[str]) -> Opened:
    """Open what a user named: a shipped dataset, a card, a table, or ``dataset...=`` overrides.

    Raises
    ------
    SitrepBenchError
        As the loaders do.
    """
    if any("=" in name for name in names):
        from sitrepbench.config.compose import compose
        from sitrepbench.config.run_config import check_config

        made = check_config(compose(list(names))).build("dataset")
        return Opened(made, None)
    if len(names) != 1:
        raise DataError(f"one dataset is expected, found {len(names)}: {' '.join(names)}")
    path = Path(names[0]).expanduser()
    if path.is_dir() and (path / CARD_FILE).is_file():
        path = path / CARD_FILE
    if path.suffix in (".yaml", ".yml"):
        corpus = load_corpus(path)
    elif path.suffix or path.exists():
        return Opened(load_table(path), None)
    else:
        corpus = load_corpus(shipped_card(names[0]))
    return Opened(corpus.dataset, corpus)


def stats_command(parsed: argparse.Namespace) -> int:
    """Print counts, lengths, label mix and agreement; draw a figure if asked."""
    opened = open_dataset(parsed.dataset)
    statistics = describe_dataset(opened.dataset)
    annotations = opened.corpus.annotations if opened.corpus else None
    agreement = (
        None if annotations is None else measure_agreement(annotations, opened.dataset.labels)
    )
    if parsed.figure:
        from sitrepbench.report.dataset_figure import draw_dataset

        draw_dataset(opened.dataset, Path(parsed.figure))
        print(f"figure: {parsed.figure}", file=sys.stderr)
    if parsed.json:
        print(json.dumps(_stats_dict(opened.dataset, statistics, agreement), indent=1))
        return 0
    _print_stats(opened.dataset, statistics, agreement)
    return 0


def validate_command(parsed: argparse.Namespace) -> int:
    """Print every inconsistency, and fail if there is one."""
    opened = open_dataset(parsed.dataset)
    problems = corpus_problems(opened.corpus) if opened.corpus else []
    if problems:
        shown = "\n  ".join(problems[:SHOWN])
        rest = f"\n  ... and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise DataError(f"{opened.dataset.name}: {len(problems)} problem(s):\n  {shown}{rest}")
    dataset = opened.dataset
    for note in dataset.notes:
        print(f"Note: {note}", file=sys.stderr)
    print(
        f"{dataset.name} {dataset.version}".rstrip()
        + f": {len(dataset.frame)} sentences, {dataset.n_documents} documents, sound"
    )
    print(f"digest {dataset.digest}")
    return 0


def audit_command(parsed: argparse.Namespace) -> int:
    """Print near-duplicates, telling words and label conflicts.

    The exit code is that of bad data if near-duplicates stand in different splits.
    """
    dataset = open_dataset(parsed.dataset).dataset
    with _hashing_progress(len(dataset.frame)) as on_progress:
        audit = audit_dataset(
            dataset,
            threshold=parsed.threshold,
            words_per_label=parsed.words,
            on_progress=on_progress,
        )
    if parsed.json:
        print(json.dumps(_audit_dict(audit), indent=1, ensure_ascii=False))
    else:
        _print_audit(dataset, audit)
    return DataError.exit_code if len(audit.across_splits) else 0


def _hashing_progress(total: int) -> Any:
    from sitrepbench.cli.progress import cells_progress

    return cells_progress(f"comparing {total} sentences", unit="sentences")


def _print_stats(dataset: Dataset, statistics: DatasetStatistics, agreement: Any) -> None:
    console = Console()
    title = f"{dataset.name} {dataset.version}".rstrip()
    low, median, high = statistics.per_document
    console.print(Text(title, style="bold"))
    console.print(
        Text(
            f"{statistics.n_sentences} sentences in {statistics.n_documents} documents "
            f"({low:.0f} / {median:.0f} / {high:.0f} a document: 10th percentile, median, 90th); "
            f"{statistics.n_clusters} near-duplicate clusters; "
            f"{statistics.distinct_openings:.1%} as many opening trigrams as sentences"
        )
    )
    _print_table(console, statistics.labels, {"share": _percent})
    _print_table(console, statistics.lengths, dict.fromkeys(("p10", "median", "p90"), _whole))
    for table in statistics.by.values():
        _print_table(console, table, dict.fromkeys(dataset.labels, _whole_percent))
    if agreement is None:
        return
    pair = agreement.pairs.iloc[0]
    console.print(
        Text(
            f"Machine agreement before adjudication, {agreement.n_sentences} sentences: "
            f"Krippendorff's alpha {agreement.alpha:.3f}; {pair['first']} against "
            f"{pair['second']}: macro-F1 {pair['macro_f1']:.3f}, kappa {pair['kappa']:.3f}, "
            f"{len(agreement.disagreements)} disagreements"
        )
    )
    _print_table(console, agreement.per_label, dict.fromkeys(("alpha", "f1"), _three))


def _print_table(
    console: Console, table: pd.DataFrame, formats: dict[str, Callable[[Any], str]]
) -> None:
    shown = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for column in table.columns:
        numeric = pd.api.types.is_numeric_dtype(table[column])
        name = SHORT.get(str(column), str(column))
        shown.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in table.itertuples(index=False):
        cells = [
            formats.get(str(column), str)(value)
            for column, value in zip(table.columns, row, strict=True)
        ]
        shown.add_row(*map(Text, cells))
    console.print(shown)


def _print_audit(dataset: Dataset, audit: Audit) -> None:
    console = Console()
    pairs = audit.pairs
    console.print(
        Text(
            f"{dataset.name}: {len(pairs)} pair(s) of sentences in different documents are alike "
            f"(Jaccard of character 5-grams from {audit.threshold:g}); {len(audit.unclustered)} of "
            f"them in no common cluster, {len(audit.across_splits)} across splits, "
            f"{len(audit.conflicts)} with different labels"
        )
    )
    for pair in pairs.head(SHOWN).to_dict("records"):
        marks = [] if pair["same_cluster"] else ["no common cluster"]
        marks += [f"{what} {pair[what]}" for what in ("splits", "labels") if "/" in pair[what]]
        told = f" ({', '.join(marks)})" if marks else ""
        console.print(Text(f"{pair['similarity']:.2f} {pair['first']} ~ {pair['second']}{told}"))
        console.print(Text(f"  {pair['first_text'][:76]}", style="dim"), no_wrap=True)
        console.print(Text(f"  {pair['second_text'][:76]}", style="dim"), no_wrap=True)
    if len(pairs) > SHOWN:
        console.print(f"... and {len(pairs) - SHOWN} more (--json has them all)", highlight=False)
    console.print()
    console.print(Text("Words that speak most for a label (z of the log-odds ratio):"))
    for label, words in audit.words.groupby("label", sort=False):
        listed = ", ".join(f"{row.word} {row.z:.1f}" for row in words.itertuples())
        console.print(Text(f"  {label}: {listed}"))


def _stats_dict(dataset: Dataset, statistics: DatasetStatistics, agreement: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "name": dataset.name,
        "version": dataset.version,
        "digest": dataset.digest,
        "sentences": statistics.n_sentences,
        "documents": statistics.n_documents,
        "clusters": statistics.n_clusters,
        "distinct_openings": statistics.distinct_openings,
        "per_document": statistics.per_document,
        "labels": statistics.labels.to_dict("records"),
        "lengths": statistics.lengths.to_dict("records"),
        "by": {name: table.to_dict("records") for name, table in statistics.by.items()},
    }
    if agreement is not None:
        content["machine_agreement"] = {
            "annotators": agreement.annotators,
            "sentences": agreement.n_sentences,
            "alpha": agreement.alpha,
            "per_label": agreement.per_label.to_dict("records"),
            "pairs": agreement.pairs.to_dict("records"),
            "disagreements": len(agreement.disagreements),
        }
    return content


def _audit_dict(audit: Audit) -> dict[str, Any]:
    return {
        "threshold": audit.threshold,
        "pairs": audit.pairs.to_dict("records"),
        "words": audit.words.to_dict("records"),
    }


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _whole_percent(value: float) -> str:
    return f"{value:.0%}"


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _three(value: float) -> str:
    return f"{value:.3f}"
