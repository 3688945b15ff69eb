"""What `sitrepbench annotation` takes; what it does is imported when it is done."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

DESCRIPTION = """\
Sentences to Label Studio and back, several annotators kept apart.
docs/annotation.md tells the whole way.

  sitrepbench annotation config --output labelling.xml
  sitrepbench annotation export sentences.csv --output tasks.json
  sitrepbench annotation import exported.json --output annotations.csv
"""


def add_annotation(commands: Any) -> None:
    """Add the parser."""
    parser = commands.add_parser(
        "annotation",
        help="sentences to Label Studio and back",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = parser.add_subparsers(title="tasks", metavar="TASK", required=True)
    _add_config(tasks)
    _add_export(tasks)
    _add_import(tasks)


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the label set."""
    parser.add_argument(
        "--labels",
        type=names,
        metavar="A,B,...",
        help="the label set (default: the project's five labels)",
    )


def add_accounts(parser: argparse.ArgumentParser) -> None:
    """Add the option that names annotators."""
    parser.add_argument(
        "--annotator",
        dest="accounts",
        action="append",
        default=[],
        metavar="NAME=ACCOUNT",
        help="an annotator's name and account in Label Studio (its number or e-mail address); "
        "repeat it",
    )


def names(text: str) -> tuple[str, ...]:
    """Return a list of names that commas separate."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise argparse.ArgumentTypeError("expected names separated by commas")
    return found


def _add_config(tasks: Any) -> None:
    what = "write Label Studio's labelling configuration"
    config = tasks.add_parser("config", help=what, description=what)
    config.add_argument(
        "dataset",
        nargs="*",
        help="the dataset whose labels to take, as for 'data stats' (default: the five labels)",
    )
    add_labels(config)
    config.add_argument("--output", metavar="FILE", help="(default: standard output)")
    config.set_defaults(command=_annotation, task="config")


def _add_export(tasks: Any) -> None:
    what = "write the tasks of a table of sentences"
    export = tasks.add_parser("export", help=what, description=what)
    export.add_argument("table", help="CSV, TSV, JSONL or Parquet, labelled or not")
    export.add_argument("--output", metavar="FILE", required=True, help="the tasks (JSON)")
    add_labels(export)
    export.add_argument(
        "--existing",
        choices=("annotations", "predictions", "none"),
        default="annotations",
        help="what becomes of labels that are there: annotations of their annotators (default), "
        "suggestions, or nothing, for labelling blind",
    )
    export.add_argument(
        "--label-column", metavar="NAME", help="where the labels stand (default: label)"
    )
    export.add_argument(
        "--by",
        metavar="NAME",
        default="reference",
        help="whose labels they are where no column tells (default: %(default)s)",
    )
    add_accounts(export)
    export.add_argument("--format", help="csv, tsv, jsonl or parquet (default: by the name)")
    export.add_argument("--encoding", default="utf-8", help="(default: %(default)s)")
    export.set_defaults(command=_annotation, task="export")


def _add_import(tasks: Any) -> None:
    what = "read what Label Studio exported (JSON or JSON-MIN)"
    imported = tasks.add_parser("import", help=what, description=what)
    imported.add_argument("export", help="the exported file")
    imported.add_argument(
        "--output",
        metavar="FILE",
        required=True,
        help="a row per sentence and annotator, or with --resolve a labelled table "
        "(.csv, .jsonl or .parquet)",
    )
    add_labels(imported)
    add_accounts(imported)
    imported.add_argument(
        "--resolve",
        choices=("majority", "unanimous"),
        help="settle one label per sentence: what more than half, or all, gave; "
        "'adjudicator' has the last word",
    )
    imported.add_argument(
        "--undecided",
        metavar="FILE",
        help="where to write the sentences that are not settled (with --resolve)",
    )
    imported.set_defaults(command=_annotation, task="import")


def _annotation(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli import annotating

    task: Callable[[argparse.Namespace], int] = getattr(annotating, f"{parsed.task}_command")
    return task(parsed)
