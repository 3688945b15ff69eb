"""Studies: questions kept in ``experiments/``, and the looks at test splits they declare."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import RunConfig, check_config
from sitrepbench.errors import ConfigError
from sitrepbench.resources import resource_folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
#: What a declared look is for: the study's own data, splits, features and models.
_HELD = ("dataset", "protocol", "features", "model")


def check_study_name(study: str | None) -> None:
    """Refuse a study name that cannot be a file's or an experiment's name."""
    if study is not None and not _NAME.fullmatch(study):
        raise ConfigError(
            f"study={study!r}: expected letters, digits, '.', '_' and '-', beginning with a "
            "letter or digit"
        )


def final_test_reason(config: RunConfig) -> str | None:
    """Return why a committed study may read the test split, None if it may not.

    A study declares it with ``final_test: <reason>``, which is read from the study's own file in
    ``experiments/``, so that no command line and no other file can bring it in. It holds for the
    study as committed: for its dataset, protocol and features and for the models of its sweep.

    Raises
    ------
    ConfigError
        When the study declares a look but is not as committed, or is not what is to be run.
    """
    if config.study is None:
        return None
    path = resource_folder("experiments") / f"{config.study}.yaml"
    if not path.is_file():
        return None
    content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    reason = content.get("final_test") if isinstance(content, dict) else None
    if not reason:
        return None
    if not any(_same(config.tree, tree) for tree in _declared(config.study, content, config)):
        raise ConfigError(
            f"study {config.study!r} declares its look at a test split for its own dataset, "
            "protocol, features and models as committed, and this is another run. Leave the "
            "changes out, or run outside the study with unlock.reason='...'"
        )
    if not _as_committed(path):
        raise ConfigError(
            f"study {config.study!r} declares a look at a test split, but {path.name} is not "
            "committed as it stands. Commit it first: a declared look is one that others can see."
        )
    return str(reason)


def _declared(
    study: str, content: Mapping[str, Any], config: RunConfig
) -> Iterator[Mapping[str, Any]]:
    """Yield what the study itself says for this run: composed anew, with its own choices only."""
    swept = ((content.get("hydra") or {}).get("sweeper") or {}).get("params") or {}
    chosen = []
    for key, values in swept.items():
        given = [text for text in config.overrides if text.partition("=")[0] == key]
        # Only values that the study lists; anything else is not its run.
        listed = [value.strip() for value in str(values).split(",")]
        chosen += [text for text in given if text.partition("=")[2] in listed]
    yield check_config(compose([f"experiments={study}", *chosen])).tree


def _same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return all(one[group] == two[group] for group in _HELD)


def _as_committed(path: Path) -> bool:
    """Return whether a file is tracked and unchanged; what was installed counts as released."""

    def git(*arguments: str) -> subprocess.CompletedProcess[str] | None:
        try:
            return subprocess.run(
                ["git", "-C", str(path.parent), *arguments],
                capture_output=True,
                text=True,
                timeout=10,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None

    if path.parent.parent.name == "_project":
        return True
    inside = git("rev-parse", "--is-inside-work-tree")
    if inside is None or inside.returncode != 0:
        return True  # an unpacked archive of a release
    tracked = git("ls-files", "--error-unmatch", path.name)
    clean = git("diff", "--quiet", "HEAD", "--", path.name)
    return bool(tracked and tracked.returncode == 0 and clean and clean.returncode == 0)
