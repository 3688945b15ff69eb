"""A file of sentences, labelled from end to end in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

import pyarrow.parquet as pq

from sitrepbench.data.dataset import DOCUMENT_ID
from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.errors import ConfigError, DataError
from sitrepbench.labelling.blocks import Block, ObjectBlock
from sitrepbench.labelling.documents import whole_documents
from sitrepbench.labelling.outputs import check_output, output
from sitrepbench.labelling.problems import ANY, count_of, new_report, text_of
from sitrepbench.labelling.questions import (
    check_rows,
    fields_of,
    question,
)
from sitrepbench.labelling.readers import read_blocks
from sitrepbench.labelling.sources import STANDARD, Format, Source, format_of, opened
from sitrepbench.labelling.workers import Answerer, ModelSource, answerer
from sitrepbench.labelling.writers import Writer, open_writer

OnError = Literal["stop", "skip"]
#: Told the rows that are written so far, and the share of the input that is read, if known.
OnProgress = Callable[[int, float | None], None]


@dataclass(frozen=True)
class Order:
    """What is to be labelled, and how.

    Parameters
    ----------
    source : str
        A file, or ``-`` for standard input.
    output : str
        A file, or ``-`` for standard output.
    format, output_format : str or None
        By default what the names tell: CSV for standard input; for the output, what the input
        has, and CSV for text.
    columns : mapping
        Field (``text``, ``document_id``, ``position``) to the input's column; what is not given
        is looked for under `sitrepbench.data.fields.DEFAULT_NAMES`.
    processes : int
        Workers that each load the model; with 1, this process does it all.
    on_error : {"stop", "skip"}
        What becomes of a broken row: nothing is written, or it alone is left out.
    escape_formulas : bool
        Whether CSV and TSV cells that a spreadsheet would compute get a ``'`` before them.
    """

    source: str
    output: str = STANDARD
    format: str | None = None
    output_format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    processes: int = 1
    on_error: OnError = "stop"
    escape_formulas: bool = False


@dataclass(frozen=True)
class Labelled:
    """What came of an order.

    Parameters
    ----------
    n_rows : int
        Rows that were labelled.
    n_skipped : int
        Rows that were left out; 0 unless asked for.
    report : str
        What is wrong with those; empty where there are none.
    notes : tuple of str
        What whoever uses the result should know.
    """

    n_rows: int
    n_skipped: int
    report: str
    notes: tuple[str, ...] = ()


def label_file(
    order: Order, model: ModelSource, *, on_progress: OnProgress = lambda rows, share: None
) -> Labelled:
    """Label a file's rows: in order, with its columns, ``predicted`` and ``p_<label>``.

    Memory does not grow with the file. A file appears at the output's place when all is done,
    and not before. With ``processes`` above 1, workers are started anew (``spawn``): a script
    that calls this must guard its own start with ``if __name__ == "__main__":``.

    Parameters
    ----------
    order : Order
        What is to be labelled, and how.
    model : ModelSource
        Where the model lies.
    on_progress : callable
        Told after each block.

    Raises
    ------
    DataError
        When the input cannot be read, or a row is broken and ``on_error`` is ``stop``: with all
        broken rows of a file, or the first block of them for standard input.
    ConfigError
        When the order makes no sense.
    ModelError
        When the model fails, or a worker dies.
    """
    kind = format_of(order.source, order.format)
    written = _written_as(order, kind)
    check_output(order.output, order.source)
    with opened(order.source) as source, answerer(model, order.processes) as asked:
        run = _Run(order, source, kind, written, asked, model.probabilities)
        return run.label(on_progress)


def _written_as(order: Order, kind: Format) -> Format:
    if kind == "parquet" and order.source == STANDARD:
        raise ConfigError("--format parquet: Parquet cannot be read from standard input: its "
                          "table of contents stands at its end. Give the file's name")  # fmt: skip
    told = order.output_format
    if told is not None:
        written = format_of(order.output, told, option="--output-format")
    elif order.output != STANDARD:
        written = format_of(order.output, option="--output-format")
    else:
        written = "csv" if kind == "text" else kind
    if written == "parquet" and order.output == STANDARD:
        raise ConfigError("Parquet goes to a file: give --output FILE, or --output-format csv")
    if order.escape_formulas and written not in ("csv", "tsv"):
        raise ConfigError(f"--escape-formulas is for csv and tsv; the output is {written}")
    return written


class _Run:
    """One order under way."""

    def __init__(
        self,
        order: Order,
        source: Source,
        kind: Format,
        written: Format,
        asked: Answerer,
        probabilities: bool,
    ) -> None:
        self._order, self._source = order, source
        self._kind, self._written = kind, written
        self._asked, self._facts = asked, asked.facts
        self._added = self._facts.added(probabilities=probabilities)
        self._report = new_report(source.name)
        self._notes = list(self._facts.notes)
        #: Problems beyond the first of a row.
        self._doubled = 0
        self._n_rows = 0

    def label(self, on_progress: OnProgress) -> Labelled:
        blocks = read_blocks(
            self._source,
            self._kind,
            report=self._report,
            same_keys=self._written in ("csv", "tsv", "parquet"),
        )
        first = next(blocks)
        if self._kind == "parquet":
            self._n_rows = pq.read_metadata(self._order.source).num_rows
        names = first.names
        fields = self._fields(first)
        rows = self._sound(chain([first], blocks), fields)
        if self._facts.reads_documents and DOCUMENT_ID in fields:
            rows = whole_documents(rows, fields[DOCUMENT_ID], source=self._source.name)
        questions = ((block, question(block, fields, self._facts)) for block in rows)
        n_rows = 0
        answers = self._asked.answers(questions)
        # Before the output is touched, so that what is wrong at the start leaves nothing.
        ahead = next(answers, None)
        with output(self._order.output) as stream:
            writer = self._writer(stream, names)
            for block, given in chain([] if ahead is None else [ahead], answers):
                writer.write(block, given)
                n_rows += len(block)
                on_progress(n_rows, self._share(n_rows))
            writer.finish()
        skipped = count_of(self._report) - self._doubled
        return Labelled(n_rows, skipped, text_of(self._report), tuple(self._notes))

    def _writer(self, stream: object, names: tuple[str, ...]) -> Writer:
        return open_writer(
            stream,  # type: ignore[arg-type]
            self._written,
            names=names,
            added=self._added,
            labels=self._facts.labels,
            copied=self._kind == self._written,
            escape_formulas=self._order.escape_formulas,
        )

    def _fields(self, first: Block) -> dict[str, str]:
        if isinstance(first, ObjectBlock) and not len(first):
            return {}
        names: tuple[str, ...] = first.names
        if isinstance(first, ObjectBlock):
            # The first row may be the broken one.
            names = tuple(dict.fromkeys(chain.from_iterable(first.objects)))
        else:
            self._refuse_clash(first.names)
        columns = self._order.columns
        fields = fields_of(names, self._facts, source=self._source.name, columns=columns)
        if self._facts.reads_documents and DOCUMENT_ID not in fields:
            self._notes.append(
                f"model {self._facts.name!r} reads sentences with their neighbours, but "
                f"{self._source.name} has no column for documents: every row is labelled as if "
                "it stood alone (--document-column NAME)"
            )
        return fields

    def _refuse_clash(self, names: tuple[str, ...]) -> None:
        clash = [name for name in names if name in self._added]
        if clash:
            raise DataError(
                f"{self._source.name}: has a column {shown(clash[0])} already, which is what the "
                "predictions are called; rename it, or leave it out"
            )

    def _share(self, n_rows: int) -> float | None:
        if self._kind == "parquet":
            # Parquet is not read from front to back.
            return n_rows / self._n_rows if self._n_rows else None
        return self._source.share

    def _sound(self, blocks: Iterator[Block], fields: Mapping[str, str]) -> Iterator[Block]:
        stop = self._order.on_error == "stop"
        for block in blocks:
            sound = self._checked(block, fields)
            if stop and count_of(self._report):
                if self._source.under is not None:
                    # Whoever mends a file wants to know about all of its rows.
                    for rest in blocks:
                        self._checked(rest, fields)
                self._refuse()
            yield sound
        if stop and count_of(self._report):
            self._refuse()

    def _refuse(self) -> None:
        raise DataError(f"{text_of(self._report)}\n  {ANY}")

    def _checked(self, block: Block, fields: Mapping[str, str]) -> Block:
        before = count_of(self._report)
        sound = check_rows(block, fields, self._report)
        if isinstance(sound, ObjectBlock):
            sound = _without_clashes(sound, self._added, self._report)
        self._doubled += count_of(self._report) - before - (len(block) - len(sound))
        return sound


def _without_clashes(block: ObjectBlock, added: tuple[str, ...], report: ProblemReport) -> Block:
    clashes = set(added)
    bad = [index for index, item in enumerate(block.objects) if not clashes.isdisjoint(item)]
    for index in bad:
        name = next(key for key in block.objects[index] if key in clashes)
        message = f"has the key {shown(name)} already"
        report.add("name_clash", message, row=block.numbers[index], line=block.lines[index])
    if not bad:
        return block
    return block.take([index for index in range(len(block)) if index not in set(bad)])
