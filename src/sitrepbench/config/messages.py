"""Turns Hydra's composition errors into one short message with the nearest legal name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sitrepbench.config.schema import GROUPS
from sitrepbench.config.targets import OWN_KEYS, TARGET, parameters_of
from sitrepbench.errors import ConfigError, closest, did_you_mean

_NO_OPTION = re.compile(r"Could not find '(?P<group>[^']*)/(?P<option>[^'/]*)'")
_OPTION_LINE = re.compile(r"^\t(\S+)\s*$", re.MULTILINE)
_NO_KEY = re.compile(r"Could not (?:override|append to|delete) '(?P<key>[^']+)'")
_CHOOSES_BY_VALUE = re.compile(rf"\+?({'|'.join(GROUPS)}|experiments)=([\d.+-]+|true|false|null)")


def explain_composition(
    error: Exception, overrides: Sequence[str], defaults: DictConfig | None
) -> ConfigError:
    """Return the `ConfigError` to raise for what Hydra said.

    Parameters
    ----------
    error : Exception
        What Hydra or OmegaConf raised.
    overrides : sequence of str
        What was given on the command line.
    defaults : DictConfig or None
        The configuration without overrides, to look legal keys up in.
    """
    said = _innermost(error)
    option = _NO_OPTION.search(said)
    if option:
        listed = _OPTION_LINE.findall(said)
        group, name = option["group"], option["option"]
        known = f" Known: {', '.join(sorted(listed))}." if listed else ""
        return ConfigError(f"{group}={name}: no such choice.{did_you_mean(name, listed)}{known}")
    key = _NO_KEY.search(said)
    if key:
        return ConfigError(_unknown_key(key["key"], overrides, defaults))
    if "Config group override must be a string" in said:
        wrong = next((text for text in overrides if _CHOOSES_BY_VALUE.fullmatch(text)), None)
        if wrong is not None:
            group = wrong.lstrip("+").partition("=")[0]
            return ConfigError(f"{wrong}: {group} takes the name of one of its choices")
    if "Error parsing override" in said:
        wrong = next((text for text in overrides if "=" not in text), None)
        if wrong is not None:
            return ConfigError(f"{wrong}: expected KEY=VALUE, such as dataset.path={wrong}")
    return ConfigError(_shorten(said))


def _unknown_key(key: str, overrides: Sequence[str], defaults: DictConfig | None) -> str:
    given = next((text for text in overrides if text.lstrip("+~").startswith(key)), key)
    parent, _, last = key.rpartition(".")
    node: Any = OmegaConf.select(defaults, parent) if defaults is not None and parent else defaults
    if not OmegaConf.is_dict(node):
        top = key.split(".")[0]
        known = [str(name) for name in defaults] if defaults is not None else list(GROUPS)
        return f"{given}: unknown key {key!r}.{did_you_mean(top, known)}"
    present = [str(name) for name in node if name not in {TARGET, *OWN_KEYS}]
    target = node.get(TARGET) if parent else None
    accepted = list(parameters_of(target)) if isinstance(target, str) else []
    # An empty mapping, such as label_map, is one that the user fills.
    if last in accepted or (parent and not node):
        value = given.partition("=")[2] or "VALUE"
        return f"{given}: add an argument that the file does not set with a plus: +{key}={value}"
    options = [*present, *(name for name in accepted if name not in present)]
    match = closest(last, options)
    prefix = f"{parent}." if parent else ""
    suggestion = f" Did you mean {prefix}{match}={given.partition('=')[2]}?" if match else ""
    where = f"{parent} takes" if parent else "Legal are"
    return f"{given}: unknown key {key!r}.{suggestion} {where} {', '.join(options)}."


def _innermost(error: BaseException) -> str:
    texts = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        texts.append(str(error))
    return "\n".join(dict.fromkeys(texts))


def _shorten(said: str) -> str:
    # OmegaConf appends where in its own objects it happened, which tells a user nothing.
    lines = [line for line in said.splitlines() if line.strip()]
    kept = [
        line.removeprefix("Error merging override ")
        for line in lines
        if not re.match(r"\s*((object_type|reference_type)=|full_key: |See https?:)", line)
    ]
    return "\n".join(dict.fromkeys(kept))
