"""What a fitted pipeline is made of: all objects in it, what they read, the files they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from sitrepbench.data.dataset import DOCUMENT_ID, POSITION, SENTENCE_ID, TEXT
from sitrepbench.features.context import Context
from sitrepbench.features.cues import CUE_FOLDER, HandMadeCues
from sitrepbench.models.chain_crf import ChainCRF
from sitrepbench.models.chance import StratifiedChance
from sitrepbench.models.keywords import LEXICON_FOLDER, KeywordRules

#: Parts that look at the other rows of a row's document.
DOCUMENT_READERS = (Context, HandMadeCues, ChainCRF)
#: Packages whose parts take every row by itself, unless they are named above.
_ROW_BY_ROW = ("sklearn", "numpy", "scipy", "sitrepbench", "builtins", "pandas")
#: Where functions hold what is no attribute of theirs by ``__dict__``.
_HELD = ("func", "args", "keywords", "__func__", "__self__")
#: Where a shipped name of a part's ``lexicon`` is looked up.
LEXICONS = {KeywordRules: LEXICON_FOLDER, HandMadeCues: CUE_FOLDER}


def parts_of(fitted: Any) -> Iterator[Any]:
    """Yield every object that hangs on a fitted pipeline by attributes, lists and mappings, once.

    Texts, numbers and arrays of them are not looked into.
    """
    seen: set[int] = set()
    waiting = [fitted]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (str, bytes, int, float, type(None), type)):
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Mapping):
            # A vocabulary is a mapping of a hundred thousand numbers.
            waiting += [item for item in value.values() if not isinstance(item, (int, float, str))]
        elif isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                waiting += [item for item in value.ravel().tolist() if not isinstance(item, str)]
        elif isinstance(value, (list, tuple, set, frozenset)):
            waiting += [item for item in value if not isinstance(item, (int, float, str))]
        else:
            yield value
            waiting += getattr(value, "__dict__", {}).values()
            # Of partial functions and bound methods.
            waiting += [getattr(value, name, None) for name in _HELD]


def reads_documents(pipeline: Pipeline) -> bool:
    """Return whether a row's answer may depend on other rows of its document.

    Parts of other packages than scikit-learn and this one may do anything, so they may do that.
    """
    return any(
        isinstance(part, DOCUMENT_READERS)
        or getattr(part, "__module__", type(part).__module__).split(".")[0] not in _ROW_BY_ROW
        for part in parts_of(pipeline)
    )


def columns_read(pipeline: Pipeline, known: list[str]) -> tuple[str, ...]:
    """Return what a fitted pipeline reads beside ``text``, in the order of ``known``.

    Parts of other packages are taken to read all columns that they were shown.
    """
    read: set[str] = set()
    for part in parts_of(pipeline):
        package = getattr(part, "__module__", type(part).__module__).split(".")[0]
        if package not in _ROW_BY_ROW:
            read.update(known)
        if isinstance(part, DOCUMENT_READERS):
            read.update((DOCUMENT_ID, POSITION))
        elif isinstance(part, StratifiedChance):
            read.add(SENTENCE_ID)
        elif isinstance(part, ColumnTransformer):
            for _, _, columns in part.transformers:
                names = [columns] if isinstance(columns, str) else columns
                read.update(name for name in names if isinstance(name, str))
    return tuple(name for name in known if name in read and name != TEXT)


def lexicon_parts(pipeline: Any) -> list[tuple[Any, Path]]:
    """Return the parts that name a file of words, each with the folder of the shipped ones."""
    return [
        (part, folder)
        for part in parts_of(pipeline)
        for kind, folder in LEXICONS.items()
        if isinstance(part, kind)
    ]
