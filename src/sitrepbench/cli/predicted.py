"""``sitrepbench predict``: a file of sentences, labelled."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sitrepbench.cli.progress import QUIET_SECONDS
from sitrepbench.labelling.stream import Labelled, Order, label_file
from sitrepbench.labelling.workers import ModelSource
from sitrepbench.sweep.interruption import Interruption

DONE, SOME_FAILED = 0, 1
_ANY_STUDY = "any"
#: Looked for here, so that a folder costs no import of MLflow.
_MLFLOW_URI = re.compile(r"(runs|models|mlflow-artifacts):/")
OnProgress = Callable[[int, float | None], None]


def predict_command(parsed: argparse.Namespace) -> int:
    """Label a file; the exit code is 1 where rows were left out."""
    columns = {
        "text": parsed.text_column,
        "document_id": parsed.document_column,
        "position": parsed.position_column,
    }
    order = Order(
        parsed.file,
        parsed.output,
        format=parsed.format,
        output_format=parsed.output_format,
        columns={field: name for field, name in columns.items() if name is not None},
        processes=parsed.processes,
        on_error=parsed.on_error,
        escape_formulas=parsed.escape_formulas,
    )
    fetched = model_folder(parsed.model, parsed.results_dir, parsed.tracking_uri)
    with Interruption(_stop), fetched as folder, rows_progress() as told:
        source = ModelSource(
            folder,
            allow_pickle=parsed.allow_pickle,
            trust=tuple(parsed.trust),
            probabilities=not parsed.no_probabilities,
            encoder=parsed.encoder,
        )
        labelled = label_file(order, source, on_progress=told)
    return _tell(labelled)


@contextlib.contextmanager
def model_folder(name: str, results_dir: str, tracking_uri: str | None) -> Iterator[str]:
    """Yield the folder of a model, which is fetched for the time where MLflow keeps it."""
    if not _MLFLOW_URI.match(name):
        yield name
        return
    from sitrepbench.tracking.settings import tracking_settings
    from sitrepbench.tracking.trained_models import fetched_model

    folder = Path(results_dir).expanduser().resolve()
    settings = tracking_settings(folder, _ANY_STUDY, uri=tracking_uri)
    with fetched_model(name, settings) as found:
        yield str(found)


@contextlib.contextmanager
def rows_progress() -> Iterator[OnProgress]:
    """Yield a function to be told how many rows are written, and the share of the input."""
    console = Console(stderr=True)
    first: tuple[int, float] | None = None

    def words(n_rows: int) -> str:
        nonlocal first
        if first is None:
            # Loading the model is not what the rate is about.
            first = n_rows, time.monotonic()
        seconds = time.monotonic() - first[1]
        rate = f", {(n_rows - first[0]) / seconds:,.0f}/s" if seconds else ""
        return f"{n_rows:,} rows{rate}"

    if not console.is_terminal:
        yield _plain(words)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("loading the model", total=None)

        def on_rows(n_rows: int, share: float | None) -> None:
            total = None if share is None else 1.0
            progress.update(task, description=words(n_rows), completed=share or 0.0, total=total)

        yield on_rows


def _plain(words: Callable[[int], str]) -> OnProgress:
    told = 0.0

    def on_rows(n_rows: int, share: float | None) -> None:
        nonlocal told
        if not told:
            told = time.monotonic()
            words(n_rows)
        if time.monotonic() - told >= QUIET_SECONDS:
            told = time.monotonic()
            done = "" if share is None else f", {share:.0%}"
            print(f"{words(n_rows)}{done}", file=sys.stderr, flush=True)

    return on_rows


def _tell(labelled: Labelled) -> int:
    for note in labelled.notes:
        print(f"sitrepbench: {note}", file=sys.stderr)
    if not labelled.n_skipped:
        return DONE
    print(labelled.report, file=sys.stderr)
    print(
        f"sitrepbench: {labelled.n_rows:,} rows labelled, {labelled.n_skipped:,} left out",
        file=sys.stderr,
    )
    return SOME_FAILED


def _stop() -> None:
    raise KeyboardInterrupt
