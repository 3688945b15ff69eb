"""Studies: questions kept in ``experiments/``, and the looks at test splits they declare."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sitrepbench.errors import ConfigError
from sitrepbench.resources import resource_folder

#: Overrides of these would turn a study's declared look into another one.
_GUARDED = ("dataset", "protocol", "study", "final_test", "unlock")


def study_names() -> list[str]:
    """Return the names of the studies that come with the program, sorted."""
    return sorted(file.stem for file in resource_folder("experiments").glob("*.yaml"))


def final_test_reason(study: str | None, overrides: Sequence[str]) -> str | None:
    """Return why a committed study may read the test split, None if it may not.

    A study declares it with ``final_test: <reason>``, which is read from the study's file, so
    that no command line can bring it in. It holds for the study as committed: not for a changed
    file, and not with another dataset or protocol.

    Raises
    ------
    ConfigError
        When the study declares a look but is not as committed.
    """
    if study is None:
        return None
    path = resource_folder("experiments") / f"{study}.yaml"
    if not path.is_file():
        return None
    content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    reason = content.get("final_test") if isinstance(content, dict) else None
    if not reason:
        return None
    keys = [text.lstrip("+~").partition("=")[0] for text in overrides]
    changed = [key for key in keys if key.replace("@", ".").split(".")[0] in _GUARDED]
    if changed:
        raise ConfigError(
            f"study {study!r} declares its look at a test split for itself as committed, not with "
            f"{', '.join(changed)} changed. Leave that out, or give unlock.reason='...' outside "
            "the study."
        )
    if not _as_committed(path):
        raise ConfigError(
            f"study {study!r} declares a look at a test split, but {path.name} is not committed "
            "as it stands. Commit it first: a declared look is one that others can see."
        )
    return str(reason)


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
