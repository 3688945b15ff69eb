"""What `sitrepbench predict` takes; what it does is imported when it is done."""

from __future__ import annotations

import argparse
from typing import Any

from sitrepbench.cli.arguments import add_encoder, add_store, count, output_name

DESCRIPTION = """\
Label the sentences of a file with a trained model: the same rows in the same
order, with the columns 'predicted' and 'p_<label>'. Memory does not grow with
the file.

  sitrepbench predict model sentences.csv --output labelled.csv
  sitrepbench data segment articles/ | sitrepbench predict model - > out.csv
"""
EPILOG = """\
Formats: text (a sentence per line; comes out as CSV, or with --output-format
text as a label per line), csv, tsv, jsonl, parquet; the text formats also .gz.
Exit code 4: a row is broken, and nothing was written. Exit code 1: rows were
left out with --on-error skip, the others are written.
"""
FORMATS = ("text", "csv", "tsv", "jsonl", "parquet")


def add_predict(commands: Any) -> None:
    """Add the parser."""
    predict = commands.add_parser(
        "predict",
        help="label the sentences of a file with a trained model",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    predict.add_argument(
        "model",
        metavar="MODEL",
        help="the folder that 'sitrepbench train' wrote, or an MLflow URI (models:/..., runs:/...)",
    )
    predict.add_argument("file", metavar="FILE", help="the sentences; - for standard input")
    predict.add_argument(
        "-o",
        "--output",
        type=output_name,
        default="-",
        metavar="FILE",
        help="where to (default: standard output)",
    )
    predict.add_argument(
        "--format", choices=FORMATS, help="of the input (default: as its name tells; - is csv)"
    )
    predict.add_argument(
        "--output-format",
        choices=FORMATS,
        help="of the output (default: as its name tells, else the input's, or csv for text)",
    )
    for field, what in (
        ("text", "the sentences (default: text, or sentence)"),
        ("document", "the documents, where a model reads neighbouring sentences"),
        ("position", "a sentence's place in its document (default: position, or the rows' order)"),
    ):
        predict.add_argument(f"--{field}-column", metavar="NAME", help=f"the column of {what}")
    predict.add_argument(
        "--processes",
        type=count,
        default=1,
        metavar="N",
        help="processes that each load the model (default: %(default)s)",
    )
    predict.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help="what to do about a broken row: write nothing, or leave it out (default: %(default)s)",
    )
    predict.add_argument(
        "--no-probabilities", action="store_true", help="only the labels, no p_<label>"
    )
    predict.add_argument(
        "--escape-formulas",
        action="store_true",
        help="put ' before CSV and TSV cells that a spreadsheet would compute; changes the text",
    )
    _add_trust(predict)
    add_store(predict)
    predict.add_argument(
        "--tracking-uri", metavar="URI", help="the MLflow of an MLflow URI (default: the store's)"
    )
    predict.set_defaults(command=_predict)


def _add_trust(predict: Any) -> None:
    predict.add_argument(
        "--allow-pickle",
        action="store_true",
        help="load a model kept as pickle: it runs whatever code it holds",
    )
    predict.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="MODULE.CLASS",
        help="a type in the model's file to trust beyond the known ones; may be repeated",
    )
    add_encoder(predict)


def _predict(parsed: argparse.Namespace) -> int:
    if parsed.processes > 1:
        from sitrepbench.labelling.starting import start_server

        # Its imports take longer than those here, and go on beside them.
        start_server()
    from sitrepbench.cli.predicted import predict_command

    return predict_command(parsed)
