"""What `sitrepbench data agreement` takes; what it does is imported when it is done."""

from __future__ import annotations

import argparse
from typing import Any

from sitrepbench.cli.annotation import add_accounts, add_labels, names


def add_agreement(tasks: Any) -> None:
    """Add the parser."""
    what = "how well annotators agree: alpha, kappa, and where they differ"
    parser = tasks.add_parser("agreement", help=what, description=what)
    parser.add_argument(
        "file",
        help="Label Studio's JSON, a table with a column 'annotator', or one with a column of "
        "labels for each annotator",
    )
    add_labels(parser)
    parser.add_argument(
        "--annotators",
        type=names,
        metavar="A,B,...",
        help="the columns of the annotators (default: those that hold labels)",
    )
    add_accounts(parser)
    parser.add_argument(
        "--sentences",
        metavar="TABLE",
        help="the sentences, for documents (intervals need them) and texts that FILE lacks",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--csv", metavar="FILE", help="also write all disagreements there")
    parser.set_defaults(command=_agreement)


def _agreement(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.agreed import agreement_command

    return agreement_command(parsed)
