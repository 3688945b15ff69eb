"""Keyword rules: the baseline that a conflict researcher asks about first.

The lexicon is data: a YAML file with, per label, patterns that count ``strong`` or ``weak``
and patterns that ``cancel``. A label's score is 2 for every strong and 1 for every weak pattern
that occurs in the sentence; it is 0 if a cancelling one does. The label with the highest score
of at least ``threshold`` wins, ties going to the one first in ``order``; without any, ``default``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

from sitrepbench.data.dataset import TEXT
from sitrepbench.errors import ConfigError, did_you_mean
from sitrepbench.named_files import named_file, read_yaml

LEXICON_FOLDER = Path(__file__).parent / "lexicons"
STRONG, WEAK = 2, 1
_FIELDS = ("name", "version", "description", "order", "default", "threshold", "labels")
_LABEL_FIELDS = ("strong", "weak", "cancel")


@dataclass(frozen=True)
class LabelRules:
    """The compiled patterns of one label, in the order of the file."""

    weighted: tuple[tuple[re.Pattern[str], int], ...]
    cancelling: tuple[re.Pattern[str], ...]


@dataclass(frozen=True)
class Lexicon:
    """A parsed lexicon file."""

    name: str
    version: str
    order: tuple[str, ...]
    default: str
    threshold: int
    rules: Mapping[str, LabelRules]
    digest: str


@dataclass(frozen=True)
class Explanation:
    """Why a sentence got its label: the score of every label and the patterns that fired."""

    label: str
    scores: Mapping[str, int]
    fired: Mapping[str, tuple[str, ...]]


def load_lexicon(lexicon: str) -> Lexicon:
    """Read and check a lexicon by shipped name or path.

    Raises
    ------
    ConfigError
        With all problems of the file at once.
    """
    path = named_file(lexicon, LEXICON_FOLDER, kind="lexicon")
    content, digest = read_yaml(path)
    problems = _problems(content)
    if problems:
        raise ConfigError(f"{path}: not a valid lexicon:\n  " + "\n  ".join(problems))
    rules = {label: _label_rules(section or {}) for label, section in content["labels"].items()}
    return Lexicon(
        name=str(content["name"]),
        version=str(content["version"]),
        order=tuple(content["order"]),
        default=content["default"],
        threshold=int(content.get("threshold", STRONG)),
        rules=rules,
        digest=digest,
    )


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)


def _label_rules(section: Mapping[str, Sequence[str]]) -> LabelRules:
    weighted = [(_compile(text), STRONG) for text in section.get("strong") or ()]
    weighted += [(_compile(text), WEAK) for text in section.get("weak") or ()]
    return LabelRules(tuple(weighted), tuple(map(_compile, section.get("cancel") or ())))


def _problems(content: Any) -> list[str]:
    if not isinstance(content, dict):
        return ["expected a mapping at the top"]
    found = [
        f"unknown field {k!r}.{did_you_mean(str(k), _FIELDS)}" for k in content if k not in _FIELDS
    ]
    for key in ("name", "version", "order", "default", "labels"):
        if key not in content:
            found.append(f"missing field {key!r}")
    labels = content.get("labels")
    if not isinstance(labels, dict) or not isinstance(content.get("order"), list):
        return [*found, "'labels' must be a mapping and 'order' a list"]
    if sorted(map(str, labels)) != sorted(map(str, content["order"])):
        found.append("'order' must name every label of 'labels' once")
    for label, section in labels.items():
        for kind, patterns in (section or {}).items():
            where = f"labels.{label}.{kind}"
            if kind not in _LABEL_FIELDS:
                found.append(f"unknown field {where}.{did_you_mean(str(kind), _LABEL_FIELDS)}")
                continue
            for pattern in patterns or ():
                try:
                    _compile(pattern)
                except (re.error, TypeError) as error:
                    found.append(f"{where}: {pattern!r} is not a pattern: {error}")
    return found


class KeywordRules(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Label sentences by a lexicon; nothing is learned from data.

    Parameters
    ----------
    lexicon : str
        The name of a shipped lexicon or the path of a YAML file of the same form.

    Examples
    --------
    >>> rules = KeywordRules()
    >>> rules.explain("The ministry denied that its jets had hit the clinic.").label
    'denial'
    """

    reads_frame = True
    #: Parameters that `content_digest` stands for.
    content_parameters = ("lexicon",)

    def __init__(self, lexicon: str = "english") -> None:
        self.lexicon = lexicon

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags

    def content_digest(self) -> str:
        """Return the sha256 of the lexicon file: it decides predictions, its path does not."""
        return load_lexicon(self.lexicon).digest

    def fit(self, X: pd.DataFrame, y: Sequence[str]) -> Self:
        """Do nothing but remember the labels; ``X`` and ``y`` are not read."""
        self.classes_ = np.unique(np.asarray(y, dtype=object))
        return self

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Return the label of every row of ``X`` (column ``text``), shape (n_rows,)."""
        lexicon = load_lexicon(self.lexicon)
        labels = [_explain(text, lexicon).label for text in X[TEXT]]
        return np.array(labels, dtype=object)

    def explain(self, text: str) -> Explanation:
        """Return which patterns fired in one sentence, and what they added up to."""
        return _explain(text, load_lexicon(self.lexicon))


def _explain(text: str, lexicon: Lexicon) -> Explanation:
    scores: dict[str, int] = {}
    fired: dict[str, tuple[str, ...]] = {}
    for label, rules in lexicon.rules.items():
        hits = [
            (match[0], weight)
            for pattern, weight in rules.weighted
            if (match := pattern.search(text))
        ]
        cancelled = [match[0] for pattern in rules.cancelling if (match := pattern.search(text))]
        scores[label] = 0 if cancelled else sum(weight for _, weight in hits)
        fired[label] = tuple([word for word, _ in hits] + [f"not: {word}" for word in cancelled])
    best = max(lexicon.order, key=lambda label: scores[label])  # max keeps the first of a tie
    label = best if scores[best] >= lexicon.threshold else lexicon.default
    return Explanation(label, scores, fired)
