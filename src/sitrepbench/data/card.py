"""A dataset's card: what it is, which files belong to it, and what holds for them."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from sitrepbench.data.dataset import COLUMNS
from sitrepbench.data.fields import label_set_problems
from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.data.readers import Format, read_bytes
from sitrepbench.data.yaml_files import parse_yaml
from sitrepbench.errors import DataError, did_you_mean
from sitrepbench.labels import LABELS, SCHEME_VERSION

#: The name of a card's file in its dataset's folder.
CARD_FILE = "card.yaml"

#: A split whose name starts so is a test split, everywhere in the program.
TEST_PREFIX = "test"

Role = Literal["train", "dev", "test"]
Filled = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]


class CardFile(BaseModel):
    """A file of a dataset with its checksum.

    ``role`` is ``sentences`` for the one table of labelled sentences, ``documents`` and
    ``annotations`` for the tables behind it, ``source`` for the
    document that it was made from, ``other`` for the rest. ``format`` and ``quoting`` are as in
    `sitrepbench.data.table.load_table`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    role: Literal["sentences", "documents", "annotations", "source", "other"] = "sentences"
    format: Format | None = None
    quoting: Literal["standard", "none"] = "standard"

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or "\0" in path or "\\" in path:
            raise ValueError("expected a path relative to the card, with '/' between its parts")
        if path.startswith(("/", "~")) or ".." in parts or re.match("[A-Za-z]:", path):
            raise ValueError("leads out of the card's folder; expected a path inside it")
        return path


class DatasetCard(BaseModel):
    """What is known about a dataset; unknown fields are errors.

    Parameters
    ----------
    name, version, title, description, language, licence, source, citation
        For people. ``language`` is a BCP 47 tag such as ``en``.
    attribution : str
        What has to be said where the data is shown; empty where nothing.
    scheme_version : str
        The version of the scheme that the labels follow; ``1.0`` for the default labels.
    labels : tuple of str
        The label set, owned by the card.
    files : tuple of CardFile
        Every file of the dataset, exactly one of them the sentences.
    columns : dict
        Field to column, where the file does not use the default names.
    splits : dict
        Every split of the data with its role. A split is for testing exactly if its name
        starts with ``test``.
    final_only : bool
        Only ever scored, never trained on; then every row belongs to a test split.
    documents, sentences : int or None
        How many there are; checked when loading.
    superseded_by : str or None
        The dataset to use instead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    version: Filled
    title: Filled
    description: Filled
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
    licence: Filled
    source: Filled
    attribution: str = ""
    scheme_version: Filled
    labels: tuple[str, ...] = LABELS
    files: tuple[CardFile, ...]
    columns: dict[str, Filled] = Field(default_factory=dict)
    splits: dict[Name, Role] = Field(default_factory=dict)
    final_only: bool = False
    documents: Annotated[int, Field(ge=1)] | None = None
    sentences: Annotated[int, Field(ge=1)] | None = None
    superseded_by: Name | None = None
    citation: Filled | None = None

    @field_validator("labels")
    @classmethod
    def _labels_are_a_set(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if problems := label_set_problems(labels):
            raise ValueError("; ".join(problems))
        return labels

    @field_validator("columns")
    @classmethod
    def _columns_are_fields(cls, columns: dict[str, str]) -> dict[str, str]:
        unknown = [
            f"unknown field {shown(name)}.{did_you_mean(name, COLUMNS)}"
            for name in columns
            if name not in COLUMNS
        ]
        if unknown:
            raise ValueError(f"{' '.join(unknown)} The fields are: {', '.join(COLUMNS)}")
        return columns

    @field_validator("files")
    @classmethod
    def _one_table(cls, files: tuple[CardFile, ...]) -> tuple[CardFile, ...]:
        tables = [file.path for file in files if file.role == "sentences"]
        if len(tables) != 1:
            raise ValueError(f"expected exactly one file of role sentences, found {len(tables)}")
        paths = [PurePosixPath(file.path) for file in files]
        doubled = sorted({str(path) for path in paths if paths.count(path) > 1})
        if doubled:
            raise ValueError(f"listed more than once: {', '.join(doubled)}")
        return files

    @field_validator("splits")
    @classmethod
    def _tests_are_named_so(cls, splits: dict[str, Role]) -> dict[str, Role]:
        odd = [
            f"{name} is declared {role}, but"
            for name, role in splits.items()
            if (role == "test") != name.startswith(TEST_PREFIX)
        ]
        if odd:
            raise ValueError(f"{' '.join(odd)} test splits, and only they, are named test...")
        return splits

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.final_only and set(self.splits.values()) != {"test"}:
            raise ValueError("final_only: expected a test split in splits, and no other")
        if self.labels == LABELS and self.scheme_version != SCHEME_VERSION:
            raise ValueError(
                f"scheme_version: the default labels are those of {SCHEME_VERSION}, "
                f"found {shown(self.scheme_version)}"
            )
        return self

    @property
    def table(self) -> CardFile:
        """The file that holds the sentences."""
        return next(file for file in self.files if file.role == "sentences")


def load_card(path: str | Path) -> DatasetCard:
    """Read and check a card.

    Raises
    ------
    DataError
        With every problem of the card: YAML, unknown, missing and illegal fields.
    """
    path = Path(path).expanduser()
    report = ProblemReport(str(path))
    data = read_bytes(path, report)
    content = None if data is None else _parse(data, report)
    report.raise_if_any()
    try:
        return DatasetCard.model_validate(content)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            _report_field(detail, report)
    report.raise_if_any()
    raise DataError(f"{path}: the card cannot be read")


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which would take the last of two equal keys without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"the key {shown(key.value)} stands on line {seen[key.value]} already",
                    key.start_mark,
                )
            seen[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def _parse(data: bytes, report: ProblemReport) -> dict[str, Any] | None:
    read = parse_yaml(data, report, lambda text: (yaml.load(text, Loader=_StrictLoader),))
    if read is None:
        return None
    (content,) = read
    if isinstance(content, dict) and all(isinstance(key, str) for key in content):
        return content
    found = "nothing" if content is None else f"{type(content).__name__} {shown(content)}"
    report.add("invalid_yaml", f"expected fields such as 'name: ...', found {found}")
    return None


def _report_field(detail: ErrorDetails, report: ProblemReport) -> None:
    """Translate one finding of pydantic."""
    place = ".".join(str(part) for part in detail["loc"]) or None
    kind = detail["type"]
    if kind == "extra_forbidden":
        # Only the card and its files have fields; a file's come after "files" and its number.
        model = DatasetCard if len(detail["loc"]) == 1 else CardFile
        near = did_you_mean(str(detail["loc"][-1]), model.model_fields)
        report.add("unknown_field", f"unknown field.{near}", column=place)
    elif kind == "missing":
        report.add("missing_field", "is missing", column=place)
    else:
        message = detail["msg"].removeprefix("Value error, ")
        given = detail["input"]
        if place is not None:
            message += f"; found {type(given).__name__} {shown(given)}"
        if kind == "string_type" and isinstance(given, int | float):
            message += "; put it in quotes"
        report.add("invalid_value", message, column=place)
