"""``sitrepbench data segment``: articles in, one row per sentence out."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from sitrepbench.cli.arguments import output_name

#: Lines of the sites around the articles that a note quotes.
QUOTED = 3

DESCRIPTION = """\
Cut articles (.txt, .html, .htm, or folders of them) into sentences and write
one row for each: document_id, position, text, kind. Nothing is written if an
article has a problem; all problems are told at once.

  sitrepbench data segment articles/ --output sentences.csv
  sitrepbench data segment articles/ | sitrepbench predict MODEL - > out.csv
"""


def add_segment(tasks: Any) -> None:
    """Add the parser."""
    segment = tasks.add_parser(
        "segment",
        help="cut articles into sentences, with document and position",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    segment.add_argument("paths", nargs="+", metavar="PATH", help="a file or a folder")
    segment.add_argument(
        "--output",
        type=output_name,
        default="-",
        metavar="FILE",
        help="write to this file (default: standard output)",
    )
    segment.add_argument(
        "--format",
        choices=("csv", "jsonl"),
        help="default: what the name of --output ends in, else csv",
    )
    segment.add_argument(
        "--encoding",
        metavar="NAME",
        help="of files without a byte-order mark (default: what a web page says, else utf-8)",
    )
    segment.add_argument(
        "--all",
        action="store_true",
        help="also the lines that a site prints around an article (kind furniture)",
    )
    segment.set_defaults(command=segment_command)


def segment_command(parsed: argparse.Namespace) -> int:
    """Write the sentences, and say on standard error what was left out."""
    from sitrepbench.articles.writing import write_segments
    from sitrepbench.cli.progress import cells_progress

    format = parsed.format
    if format is None:
        named = parsed.output.casefold()
        format = "jsonl" if named.endswith((".jsonl", ".ndjson")) else "csv"
    output = None if parsed.output == "-" else parsed.output
    with cells_progress("segmenting", unit="articles") as on_article:
        done = write_segments(
            parsed.paths,
            output=output,
            format=format,
            encoding=parsed.encoding,
            everything=parsed.all,
            on_article=on_article,
        )
    if done.furniture:
        quoted = ", ".join(repr(line[:40]) for line in list(dict.fromkeys(done.furniture))[:QUOTED])
        print(
            f"Note: left out {_counted(len(done.furniture), 'line')} that sites print around "
            f"articles ({quoted}); --all keeps them",
            file=sys.stderr,
        )
    told = f"{_counted(done.n_articles, 'article')}, {_counted(done.n_sentences, 'sentence')}"
    print(told + (f": {output}" if output else ""), file=sys.stderr)
    return 0


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
