"""``sitrepbench data agreement``: what annotators agree on, and what not."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sitrepbench.annotation.accounts import Accounts
from sitrepbench.annotation.comparing import Compared, read_compared
from sitrepbench.annotation.reliability import Reliability, measure_reliability
from sitrepbench.annotation.tables import check_writable, named_path, write_table
from sitrepbench.cli.annotating import working
from sitrepbench.labels import LABELS
from sitrepbench.wording import one_line

#: Disagreements that are listed, and pairs whose labels are, before the rest is counted.
SHOWN = 20
SHOWN_PAIRS = 3


def agreement_command(parsed: argparse.Namespace) -> int:
    """Print the agreement; write the disagreements if asked."""
    listed = named_path(parsed.csv) if parsed.csv else None
    if listed is not None:
        given = [parsed.file] + ([parsed.sentences] if parsed.sentences else [])
        check_writable(listed, inputs=given)
    labels = parsed.labels or LABELS
    accounts = Accounts.of(parsed.accounts)
    with working(f"comparing annotators of {parsed.file}"):
        compared = read_compared(
            parsed.file,
            labels=labels,
            annotators=parsed.annotators,
            accounts=accounts,
            sentences=parsed.sentences,
        )
        found = measure_reliability(compared.answers, labels, documents=compared.documents)
    differing = disagreements(found, compared)
    if listed is not None:
        write_table(differing, listed)
        print(f"{listed}: {len(differing):,} disagreement(s)", file=sys.stderr)
    if parsed.json:
        print(json.dumps(_as_dict(found, compared, differing), indent=1, ensure_ascii=False))
    else:
        _print(found, compared, differing, Console())
    return 0


def disagreements(found: Reliability, compared: Compared) -> pd.DataFrame:
    """Return where annotators differ: id, document, text, and a column ``label_<annotator>``."""
    names = found.agreement.annotators
    table = found.agreement.disagreements.sort_values("sentence_id", ignore_index=True)
    ids = table["sentence_id"]
    return pd.DataFrame(
        {
            "sentence_id": ids,
            "document_id": ids.map(lambda name: compared.documents.get(name, "")),
            "text": ids.map(lambda name: compared.texts.get(name, "")),
            **{f"label_{name}": table[name].fillna("") for name in names},
        }
    )


def _print(found: Reliability, compared: Compared, differing: pd.DataFrame, to: Console) -> None:
    agreement = found.agreement
    where = f" in {found.n_documents:,} documents" if found.n_documents else ""
    skipped = f"; {compared.n_skipped:,} skipped, not counted" if compared.n_skipped else ""
    to.print(
        Text(
            f"{len(agreement.annotators)} annotators, {agreement.n_sentences:,} sentences that at "
            f"least two labelled{where}{skipped}"
        )
    )
    alpha = found.alpha
    to.print(
        Text(
            f"Krippendorff's alpha {_number(alpha.value)} {_interval(alpha.low, alpha.high)}, "
            f"observed agreement {_percent(found.observed)}, "
            f"{len(differing):,} differ"
        )
    )
    _print_labels(found, to)
    _print_pairs(found, to)
    _print_disagreements(found, differing, to)
    if found.n_documents > 1:
        to.print(Text("[low, high]: 95 % interval by documents (jackknife, Student t).", "dim"))
    else:
        to.print(Text("No intervals: they need document_id (see --sentences).", "dim"))


def _print_labels(found: Reliability, to: Console) -> None:
    table = _table("label", "given", "alpha", "95 % interval", "F1")
    for row in found.labels.to_dict("records"):
        table.add_row(
            one_line(str(row["label"]), 24),
            f"{row['given']:,}",
            _number(row["alpha"]),
            Text(_interval(row["low"], row["high"])),
            _number(row["f1"]),
        )
    to.print(table)


def _print_pairs(found: Reliability, to: Console) -> None:
    table = _table("pair", "n", "agree", "kappa", "95 % interval", "macro-F1")
    for row in found.pairs.to_dict("records"):
        table.add_row(
            Text(_pair(row)),
            f"{row['n']:,}",
            _percent(row["agreement"]),
            _number(row["kappa"]),
            Text(_interval(row["low"], row["high"])),
            _number(row["macro_f1"]),
        )
    to.print(table)
    for at, row in enumerate(found.pairs.to_dict("records")):
        if at == SHOWN_PAIRS:
            rest = len(found.pairs) - SHOWN_PAIRS
            to.print(Text(f"... and the labels of {rest} more pairs (--json has them all)"))
            break
        of_pair = found.pair_labels[
            (found.pair_labels["first"] == row["first"])
            & (found.pair_labels["second"] == row["second"])
        ]
        table = _table("kappa of a label", "first", "second", "kappa", "95 % interval")
        for label in of_pair.to_dict("records"):
            table.add_row(
                one_line(str(label["label"]), 24),
                f"{label['given_first']:,}",
                f"{label['given_second']:,}",
                _number(label["kappa"]),
                Text(_interval(label["low"], label["high"])),
            )
        to.print(Text(_pair(row)))
        to.print(table)


def _print_disagreements(found: Reliability, differing: pd.DataFrame, to: Console) -> None:
    for row in differing.head(SHOWN).to_dict("records"):
        said = [
            f"{name}: {row[f'label_{name}']}"
            for name in found.agreement.annotators
            if row[f"label_{name}"]
        ]
        to.print(Text(one_line(f"{row['sentence_id']}  {', '.join(said)}", 79)), no_wrap=True)
        if row["text"]:
            to.print(Text("  " + one_line(str(row["text"]), 77), style="dim"), no_wrap=True)
    if len(differing) > SHOWN:
        rest = len(differing) - SHOWN
        to.print(Text(f"... and {rest:,} more disagreements (--csv FILE writes them all)"))


def _pair(row: dict[Any, Any]) -> str:
    return f"{one_line(str(row['first']), 16)} ~ {one_line(str(row['second']), 16)}"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if place else "left", no_wrap=True)
    return table


def _as_dict(found: Reliability, compared: Compared, differing: pd.DataFrame) -> dict[str, Any]:
    alpha = found.alpha
    return {
        "annotators": list(found.agreement.annotators),
        "sentences": found.agreement.n_sentences,
        "documents": found.n_documents,
        "skipped": compared.n_skipped,
        "observed_agreement": found.observed,
        "alpha": {"value": _finite(alpha.value), "interval": _ends(alpha.low, alpha.high)},
        "labels": _records(found.labels),
        "pairs": _records(found.pairs),
        "pair_labels": _records(found.pair_labels),
        "disagreements": _records(differing),
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _finite(value) for name, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]


def _ends(low: float, high: float) -> list[Any] | None:
    return None if math.isnan(low) else [low, high]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _interval(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"[{low:.3f}, {high:.3f}]"
