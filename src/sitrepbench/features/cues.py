"""Hand-made cues: how a sentence speaks, in a few dozen numbers.

The words are data: a YAML file with groups of patterns, whose matches are counted. Beside them
stand numbers, quotation marks, length, capitals and the sentence's place in its document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sitrepbench.data.dataset import DOCUMENT_ID, POSITION, TEXT
from sitrepbench.errors import ConfigError, did_you_mean
from sitrepbench.named_files import named_file, read_yaml

CUE_FOLDER = Path(__file__).parent / "cue_lists"
#: Cues that need no words, in the order of the columns before those of the lexicon.
PLAIN_CUES = (
    "length",
    "word_length",
    "numbers",
    "largest_number",
    "quotes",
    "in_quotes",
    "question",
    "capitals",
    "no_full_stop",
    "opening",
    "place",
)
_FIELDS = ("name", "version", "description", "groups")
_WORD = re.compile(r"\w+(?:['’]\w+)?")
_NUMBER = re.compile(r"\d+(?:[,.]\d+)*")
_QUOTED = re.compile(r"[\"“„«](.+?)[\"”“»]")
_QUOTES = re.compile(r"[\"“”„«»]")


@dataclass(frozen=True)
class CueList:
    """A parsed file of cues: one pattern per group, and the sha256 of the file."""

    name: str
    version: str
    groups: Mapping[str, re.Pattern[str]]
    digest: str


def load_cues(lexicon: str) -> CueList:
    """Read and check a list of cues by shipped name or path.

    Raises
    ------
    ConfigError
        With all problems of the file at once.
    """
    path = named_file(lexicon, CUE_FOLDER, kind="list of cues")
    content, digest = read_yaml(path)
    problems = _problems(content)
    if problems:
        raise ConfigError(f"{path}: not a valid list of cues:\n  " + "\n  ".join(problems))
    return CueList(
        str(content["name"]),
        str(content["version"]),
        {str(name): _compile(patterns) for name, patterns in content["groups"].items()},
        digest,
    )


def _compile(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)", re.IGNORECASE)


def _problems(content: Any) -> list[str]:
    if not isinstance(content, dict):
        return ["expected a mapping at the top"]
    found = [
        f"unknown field {key!r}.{did_you_mean(str(key), _FIELDS)}"
        for key in content
        if key not in _FIELDS
    ]
    found += [
        f"missing field {key!r}" for key in ("name", "version", "groups") if key not in content
    ]
    groups = content.get("groups", {})
    if not isinstance(groups, dict):
        return [*found, "'groups' must map names to lists of patterns"]
    for name, patterns in groups.items():
        if not isinstance(patterns, list) or not patterns:
            found.append(f"groups.{name}: expected a list of patterns, found {patterns!r}")
            continue
        for pattern in patterns:
            try:
                re.compile(pattern)
            except (re.error, TypeError) as error:
                found.append(f"groups.{name}: {pattern!r} is not a pattern: {error}")
    return found


class HandMadeCues(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A sentence as hand-made cues, each divided by its largest value in the training data.

    None is negative and in training data none is above one, so that they can stand beside rows
    of TF-IDF; counts go in as ``log(1 + n)``. Of its neighbours a sentence uses only which
    positions its document has.

    Parameters
    ----------
    lexicon : str
        The name of a shipped list of cues or the path of a YAML file of the same form.
    weight : float
        What all cues are multiplied by: how loud they are beside other features.

    Attributes
    ----------
    largest_ : float ndarray, shape (n_cues,)
        The largest value of each cue in the training data; 1 where all are 0.

    Examples
    --------
    >>> cues = HandMadeCues()
    >>> counts = cues.count('"Nobody was hurt," said 2 of the 1,200 evacuees.', place=0)
    >>> int(counts["negation"]), int(counts["attribution"]), int(counts["numbers"])
    (1, 1, 2)
    >>> round(counts["largest_number"], 2)
    3.08
    """

    #: Parameters that `content_digest` stands for.
    content_parameters = ("lexicon",)

    def __init__(self, lexicon: str = "english", *, weight: float = 1.0) -> None:
        self.lexicon = lexicon
        self.weight = weight

    def content_digest(self) -> str:
        """Return the sha256 of the file of cues: it decides predictions, its path does not."""
        return load_cues(self.lexicon).digest

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn the largest value of every cue."""
        self._keep(self._measure(X))
        return self

    def fit_transform(self, X: pd.DataFrame, y: Any = None) -> sparse.csr_matrix:
        """Fit, and return the cues of ``X``; see `transform`."""
        values = self._measure(X)
        self._keep(values)
        return self._scaled(values)

    def transform(self, X: pd.DataFrame) -> sparse.csr_matrix:
        """Return the cues of every row, float, shape (n_rows, n_cues), sparse."""
        check_is_fitted(self, "largest_")
        return self._scaled(self._measure(X))

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the cues, shape (n_cues,)."""
        return np.array([*PLAIN_CUES, *load_cues(self.lexicon).groups], dtype=object)

    def count(self, text: str, *, place: int) -> dict[str, float]:
        """Return the unscaled cues of one sentence, the ``place``-th of its document from 0."""
        cues = load_cues(self.lexicon)
        return _counts(text, place, cues.groups)

    def _measure(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        groups = load_cues(self.lexicon).groups
        places = X.groupby(DOCUMENT_ID, sort=False)[POSITION].rank(method="dense") - 1
        rows = [
            [_level(name, value) for name, value in _counts(text, place, groups).items()]
            for text, place in zip(X[TEXT], places, strict=True)
        ]
        return np.array(rows, dtype=np.float64).reshape(len(X), len(PLAIN_CUES) + len(groups))

    def _keep(self, values: npt.NDArray[np.float64]) -> None:
        largest = values.max(axis=0)
        self.largest_ = np.where(largest > 0, largest, 1.0)

    def _scaled(self, values: npt.NDArray[np.float64]) -> sparse.csr_matrix:
        return sparse.csr_matrix(self.weight * values / self.largest_)


#: Cues that are sizes or shares already; the others are counts.
_NOT_COUNTED = frozenset({"word_length", "largest_number", "in_quotes", "capitals"})


def _level(name: str, value: float) -> float:
    return value if name in _NOT_COUNTED else math.log1p(value)


def _counts(text: str, place: float, groups: Mapping[str, re.Pattern[str]]) -> dict[str, float]:
    words = _WORD.findall(text)
    n_words = max(len(words), 1)
    numbers = _NUMBER.findall(text)
    plain = (
        len(words),
        sum(map(len, words)) / n_words,
        len(numbers),
        max(map(_magnitude, numbers), default=0.0),
        len(_QUOTES.findall(text)),
        sum(map(len, _QUOTED.findall(text))) / max(len(text), 1),
        text.count("?"),
        sum(word[0].isupper() for word in words[1:]) / n_words,
        not text.rstrip("\"'”’) ").endswith((".", "!", "?")),
        place == 0,
        place,
    )
    found = dict(zip(PLAIN_CUES, map(float, plain), strict=True))
    found.update(
        (name, float(sum(1 for _ in pattern.finditer(text)))) for name, pattern in groups.items()
    )
    return found


def _magnitude(number: str) -> float:
    """Return log10(1 + n) of a number as printed: 1,200 and 1.200 are both twelve hundred.

    >>> round(_magnitude("1,200"), 2), round(_magnitude("2.5"), 2)
    (3.08, 0.54)
    """
    if re.fullmatch(r"\d{1,3}(?:[,.]\d{3})+", number):
        number = re.sub(r"[,.]", "", number)
    whole, _, fraction = number.replace(",", ".").partition(".")
    # Ten digits are enough: sizes, not serial numbers.
    return math.log10(1 + float(f"{whole[:10]}.{fraction.replace('.', '') or 0}"))
