"""Submissions: a predictions file of anybody's with a card that says whose it is and what it is."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from sitrepbench.data.problems import REMEDIES, ProblemReport, shown
from sitrepbench.data.readers import read_bytes
from sitrepbench.data.yaml_files import parse_yaml
from sitrepbench.errors import DataError, did_you_mean
from sitrepbench.resources import resource_folder
from sitrepbench.wording import one_line

if TYPE_CHECKING:
    from sitrepbench.reproduction.studies import StudyFiles

SUBMISSIONS_FOLDER = "submissions"
CARD_SUFFIXES = (".yaml", ".yml")
LONGEST_NAME = 40

_REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        **REMEDIES,
        "missing_file": "check the path; the predictions file lies beside the card",
        "path_escape": "a card may only name a predictions file in its own folder or below it",
    }
)


@dataclass(frozen=True)
class SubmissionCard:
    """What is known about a submission.

    Parameters
    ----------
    name : str
        What lists call it; at most 40 characters, on one line.
    authors : str
        Who made it; a list in the card is joined by commas.
    description : str
        What it is, for people.
    predictions : Path
        The predictions file, in the card's folder or below it; absolute.
    dataset : str
        The name of a shipped dataset, or a card, folder or table, relative to the card's folder.
    part : str
        What is predicted: a split's name, ``cv`` or ``all``.
    code, training_data : str
        Where the code is, and what it was trained on; empty where that is not told.
    date : str
        ISO 8601; empty where it is not told.
    path : Path
        The card's own file.
    """

    name: str
    authors: str
    description: str
    predictions: Path
    dataset: str
    part: str
    code: str = ""
    training_data: str = ""
    date: str = ""
    path: Path = Path()


#: The fields of a card's file, and whether they must be there.
CARD_FIELDS: Mapping[str, bool] = MappingProxyType(
    {item.name: item.default is MISSING for item in fields(SubmissionCard) if item.name != "path"}
)


def read_submission(path: str | Path) -> SubmissionCard:
    """Read and check a submission's card; the predictions are read by `read_predictions`.

    Raises
    ------
    DataError
        With every problem of the card: YAML, unknown, missing and illegal fields, a predictions
        file that is not there or leads out of the card's folder.
    """
    path = Path(path)
    report = ProblemReport(str(path), remedies=_REMEDIES)
    data = read_bytes(path, report)
    content = None if data is None else _content(data, report)
    values = {} if content is None else _values(content, report)
    predictions = _predictions_path(values.get("predictions"), path, report)
    report.raise_if_any()
    if content is None or predictions is None:
        raise DataError(f"{path}: the card cannot be read")
    return SubmissionCard(
        **{name: value for name, value in values.items() if name != "predictions"},
        predictions=predictions,
        path=path,
    )


def submissions_of(study: StudyFiles | str) -> list[SubmissionCard]:
    """Return the submissions that are kept with a study, by name.

    They lie in ``experiments/<study>/submissions/``, one card each.

    Parameters
    ----------
    study : StudyFiles or str
        The study, or the name of one of the program's own.

    Raises
    ------
    DataError
        With the problems of every card that cannot be read, or when two have one name.
    """
    own = resource_folder("experiments") / study if isinstance(study, str) else study.folder
    folder = own / SUBMISSIONS_FOLDER
    files = sorted(file for suffix in CARD_SUFFIXES for file in folder.glob(f"*{suffix}"))
    cards: dict[str, SubmissionCard] = {}
    problems = []
    for file in files:
        try:
            card = read_submission(file)
        except DataError as error:
            problems.append(str(error))
            continue
        if card.name in cards:
            other = cards[card.name].path.name
            problems.append(f"{file}: is named {card.name!r} like {other}; rename one of them")
        cards[card.name] = card
    if problems:
        raise DataError("\n".join(problems))
    return [cards[name] for name in sorted(cards)]


def _node_and_content(text: str) -> tuple[Any, Any]:
    return yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)


def _content(data: bytes, report: ProblemReport) -> dict[str, Any] | None:
    read = parse_yaml(data, report, _node_and_content)
    if read is None:
        return None
    node, content = read
    if not isinstance(content, dict) or not isinstance(node, yaml.MappingNode):
        found = "nothing" if content is None else f"{type(content).__name__} {shown(content)}"
        report.add("invalid_yaml", f"expected fields such as 'name: ...', found {found}")
        return None
    seen: set[str] = set()
    for key, _ in node.value:
        name = str(key.value)
        if name in seen:
            line = key.start_mark.line + 1
            report.add("duplicate_key", f"the field {shown(name)} stands twice", line=line)
        seen.add(name)
    return content


def _values(content: dict[Any, Any], report: ProblemReport) -> dict[str, str]:
    """Return the fields as text, and report what is unknown, missing or of another kind."""
    for name in content:
        if name not in CARD_FIELDS:
            hint = did_you_mean(str(name), CARD_FIELDS)
            report.add("unknown_field", f"unknown field {shown(name)}.{hint}")
    values = {}
    for name, required in CARD_FIELDS.items():
        if content.get(name) is None:
            if required:
                report.add("missing_field", "is missing", column=name)
            continue
        text = _READERS.get(name, _text)(content[name])
        if text is None or (required and not text):
            found = f"{type(content[name]).__name__} {shown(content[name])}"
            report.add("invalid_value", f"expected {_EXPECTED[name]}, found {found}", column=name)
        else:
            values[name] = text
    return values


def _text(value: object) -> str | None:
    return value.strip() if isinstance(value, str) and "\0" not in value else None


def _name(value: object) -> str | None:
    text = _text(value)
    fits = text is not None and len(text) <= LONGEST_NAME and one_line(text) == text
    return text if fits else None


def _authors(value: object) -> str | None:
    if isinstance(value, list):
        names = [_text(item) for item in value]
        return ", ".join(name for name in names if name) if all(names) else None
    return _text(value)


def _date(value: object) -> str | None:
    if isinstance(value, datetime.date):  # YAML makes one of 2026-11-20
        return value.isoformat()
    text = _text(value)
    try:
        return datetime.datetime.fromisoformat(text).isoformat() and text if text else text
    except ValueError:
        return None


_READERS: Mapping[str, Callable[[object], str | None]] = MappingProxyType(
    {"name": _name, "part": _name, "authors": _authors, "date": _date}
)
_EXPECTED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(CARD_FIELDS, "text"),
        "name": f"one line of at most {LONGEST_NAME} characters",
        "authors": "a name or a list of names",
        "part": "the name of a part, such as dev",
        "date": "a date such as 2026-11-20",
    }
)


def _predictions_path(given: str | None, card: Path, report: ProblemReport) -> Path | None:
    """Return the predictions file's absolute path, if it is there and in the card's folder."""
    if given is None:
        return None
    parts = PurePosixPath(given).parts
    if "\\" in given or ".." in parts or given.startswith(("/", "~")) or given[1:2] == ":":
        report.add(
            "path_escape",
            f"{shown(given)}: expected a path inside the card's folder, with '/' between its parts",
            column="predictions",
        )
        return None
    try:
        folder = card.parent.resolve()
        path = (folder / given).resolve()
        there = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        report.add("unreadable_file", f"{shown(given)}: {error}", column="predictions")
        return None
    if not path.is_relative_to(folder):
        report.add("path_escape", f"{given} is a link that leads out of it", column="predictions")
    elif not there:
        report.add("missing_file", f"there is no file {given}", column="predictions")
    else:
        return path
    return None
