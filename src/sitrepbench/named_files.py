"""Files of words that come with the program or from the user: a shipped name, or a path."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml

from sitrepbench.errors import ConfigError, did_you_mean


def named_file(name: str, shipped: Path, *, kind: str) -> Path:
    """Return the YAML file of a name in the folder ``shipped``, or of a path.

    Raises
    ------
    ConfigError
        When it is neither, with the nearest name; ``kind`` says what was looked for.
    """
    own = shipped / f"{name}.yaml"
    path = own if own.is_file() else Path(name).expanduser()
    if path.is_file():
        return path
    names = sorted(file.stem for file in shipped.glob("*.yaml"))
    raise ConfigError(
        f"no {kind} {name!r}: it is neither a file nor one of {', '.join(names)}."
        + did_you_mean(name, names)
    )


def read_yaml(path: Path) -> tuple[Any, str]:
    """Return what a YAML file holds, and the sha256 of its bytes.

    Raises
    ------
    ConfigError
        When it is not YAML.
    """
    raw = path.read_bytes()
    try:
        return yaml.safe_load(raw), hashlib.sha256(raw).hexdigest()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
