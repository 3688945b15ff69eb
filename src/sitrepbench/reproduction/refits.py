"""A study's run with its committed choice in the place of its search, and the search itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sitrepbench.config.run_config import RunConfig
from sitrepbench.config.studies import left_out_by
from sitrepbench.config.targets import TARGET
from sitrepbench.errors import SitrepBenchError
from sitrepbench.reproduction.facts import TUNER

_GIVEN = "given"
_GIVEN_TARGET = "sitrepbench.tuning.Given"
#: Words that Hydra's grammar takes as they stand.
_PLAIN_WORD = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
_NO_TEXT = frozenset({"true", "false", "null", "nan", "inf"})


@dataclass(frozen=True)
class Search:
    """What a run's own configuration says of its search, as its content key would hold it.

    Parameters
    ----------
    part : object
        Plain values; None where nothing is searched.
    error : str
        Why it cannot be told; empty where it can.
    """

    part: Any
    error: str = ""


def search_of(config: RunConfig) -> Search:
    """Return what a run that is not refitted would search."""
    from sitrepbench.config.bound import bound_tuner
    from sitrepbench.config.key import tuner_part

    try:
        part = tuner_part(config, bound_tuner(config))
    except SitrepBenchError as error:
        return Search(None, f"{type(error).__name__}: {error}")
    # As a file would give it back: lists for tuples.
    return Search(json.loads(json.dumps(part, default=str)))


def refitted(
    config: RunConfig, settings: Mapping[str, Any], *, tuner_keys: Sequence[str] = ()
) -> RunConfig:
    """Return a run's configuration with a choice in the place of its search.

    Parameters
    ----------
    config : RunConfig
        As the study has it.
    settings : mapping
        The choice: values by their path below the model.
    tuner_keys : sequence of str
        What the study itself says about its search, for the command that repeats the run alone.
    """
    own = [text for text in config.overrides if not _is_of_tuner(text)]
    away = [f"~{TUNER}.{key}" for key in tuner_keys]
    given = [f"{TUNER}={_GIVEN}", *away, f"++{TUNER}.settings={hydra_value(dict(settings))}"]
    tuner: dict[str, Any] = {TARGET: _GIVEN_TARGET, "settings": dict(settings), "without": None}
    left_out = left_out_by(config.tree[TUNER])
    if left_out:
        given.append(f"++{TUNER}.without={hydra_value(left_out)}")
        tuner["without"] = left_out
    return replace(
        config,
        tree={**config.tree, TUNER: tuner},
        names={**config.names, TUNER: _GIVEN},
        overrides=(*own, *given),
    )


def _is_of_tuner(override: str) -> bool:
    key = override.lstrip("+~").partition("=")[0]
    return key == TUNER or key.startswith(f"{TUNER}.")


def hydra_value(value: Any) -> str:
    """Return a plain value in Hydra's grammar.

    >>> hydra_value({"C": 0.1, "parts.svm.model.dual": None, "kind": "l 1", "range": [1, 2]})
    "{C: 0.1, parts.svm.model.dual: null, kind: 'l 1', range: [1, 2]}"
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {hydra_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(hydra_value, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        if _PLAIN_WORD.fullmatch(value) and value.lower() not in _NO_TEXT:
            return value
        # A backslash counts only before a quote, and doubled before the closing one.
        escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
        escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
        return f"'{escaped}'"
    return repr(value)
