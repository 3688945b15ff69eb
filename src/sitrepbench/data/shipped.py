"""The datasets that come with the program, and any other folder with a card."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from sitrepbench.data.card import CARD_FILE, CardFile, DatasetCard, load_card
from sitrepbench.data.dataset import SPLIT, Dataset
from sitrepbench.data.fields import problem_at
from sitrepbench.data.problems import Problem, ProblemReport, shown
from sitrepbench.data.readers import format_of, read_bytes, read_rows
from sitrepbench.data.rows import Rows
from sitrepbench.data.validation import TableRules, verified_dataset
from sitrepbench.errors import ConfigError, did_you_mean
from sitrepbench.resources import resource_folder

SEEDS = "seeds"


def shipped_names() -> tuple[str, ...]:
    """Return the names of the datasets that come with the program, sorted."""
    return tuple(sorted(_shipped_cards()))


def load_shipped(name: str) -> Dataset:
    """Read and verify a dataset that comes with the program.

    Raises
    ------
    ConfigError
        When there is no dataset of that name.
    DataError
        When its card or its files are not as they have to be.
    """
    return load_card_dataset(shipped_card(name))


def shipped_card(name: str) -> Path:
    """Return the card of a dataset that comes with the program.

    Raises
    ------
    ConfigError
        When there is no dataset of that name.
    """
    cards = _shipped_cards()
    if name not in cards:
        raise ConfigError(
            f"unknown dataset {shown(name)}.{did_you_mean(name, cards)} "
            f"The program comes with: {', '.join(sorted(cards)) or 'none'}"
        )
    return cards[name]


def load_card_dataset(card_path: str | Path) -> Dataset:
    """Read and verify the dataset that a card describes.

    The checksums of all files are compared before any of them is parsed, and what was compared
    is what is parsed.

    Raises
    ------
    DataError
        With every problem of the card, or of its files, or of the sentences.
    """
    path = Path(card_path).expanduser()
    card = load_card(path)
    contents = _verified_contents(card, path)
    table = card.table
    table_path = path.parent / table.path
    report = ProblemReport(str(table_path))
    try:
        kind = format_of(table_path, table.format)
    except ConfigError:
        report.add(
            "invalid_value", f"no format in the name; give one in {path.name}", column="format"
        )
        report.raise_if_any()
        raise
    rows = read_rows(
        contents[table.path], kind, encoding="utf-8", quoting=table.quoting, report=report
    )
    if rows is not None:
        _check_splits(rows, card, report)
    dataset = verified_dataset(
        rows,
        rules=TableRules(columns=card.columns, labels=card.labels),
        report=report,
        name=card.name,
        source=card.source,
        version=card.version,
    )
    _check_counts(dataset, card, path)
    if card.superseded_by is None:
        return dataset
    note = f"{card.name} {card.version} is superseded by {card.superseded_by}"
    return replace(dataset, notes=(*dataset.notes, note))


def _shipped_cards() -> dict[str, Path]:
    cards = {
        card.parent.name: card for card in sorted(resource_folder("data").glob(f"*/{CARD_FILE}"))
    }
    seeds = resource_folder("seeds") / CARD_FILE
    if seeds.is_file():
        cards[SEEDS] = seeds
    return cards


def _verified_contents(card: DatasetCard, card_path: Path) -> dict[str, bytes]:
    """Return the bytes of every file by path, once all of them have the right checksum."""
    report = ProblemReport(str(card_path))
    contents: dict[str, bytes] = {}
    for file in card.files:
        data = _verified_bytes(file, card_path, report)
        if data is not None:
            contents[file.path] = data
    report.raise_if_any()
    return contents


def _verified_bytes(file: CardFile, card_path: Path, report: ProblemReport) -> bytes | None:
    folder = card_path.parent
    path = folder / file.path
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:
        report.add("unreadable_file", f"{file.path} cannot be resolved: {error}", column="files")
        return None
    if not inside:
        report.add(
            "path_escape",
            f"{file.path} is a link to {path.resolve()}, outside the card's folder",
            column="files",
        )
        return None
    found = ProblemReport(file.path)
    data = read_bytes(path, found)
    if data is None:
        for problem in found.problems:
            report.add(problem.code, f"{file.path}: {problem.message}", column="files")
        return None
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        report.add(
            "checksum_mismatch",
            f"{file.path} has sha256 {digest}, expected {file.sha256}",
            column="files",
        )
        return None
    return data


def _check_splits(rows: Rows, card: DatasetCard, report: ProblemReport) -> None:
    """Report splits that the card does not declare, or that no row belongs to."""
    column = card.columns.get(SPLIT, SPLIT)
    values = [str(value).strip() for value in rows.columns.get(column, [])]
    declared = set(card.splits)

    def describe(index: int) -> Problem:
        value = values[index]
        message = (
            f"split {shown(value)} is not in the card.{did_you_mean(value, declared)} "
            f"Declared: {', '.join(card.splits) or 'none'}"
        )
        return problem_at(rows, index, "unknown_split", message, column=column)

    odd = [index for index, value in enumerate(values) if value and value not in declared]
    report.add_rows("unknown_split", odd, describe)
    for name in sorted(declared - set(values)):
        report.add("missing_split", f"no row belongs to the declared split {name}", column=column)


def _check_counts(dataset: Dataset, card: DatasetCard, card_path: Path) -> None:
    report = ProblemReport(str(card_path))
    for field, found in (("documents", dataset.n_documents), ("sentences", len(dataset.frame))):
        expected = getattr(card, field)
        if expected is not None and expected != found:
            report.add("wrong_count", f"expected {expected:,}, found {found:,}", column=field)
    report.raise_if_any()
