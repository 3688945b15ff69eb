"""Studies: questions kept in ``experiments/``, and the looks at test splits they declare."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from sitrepbench.config.compose import EXPERIMENTS, master_config, program_loader
from sitrepbench.config.run_config import RunConfig
from sitrepbench.config.sweeping import JobComposer
from sitrepbench.config.targets import TARGET
from sitrepbench.errors import ConfigError
from sitrepbench.resources import resource_folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
#: What a declared look is for: the study's own data, splits, features and models.
_HELD = ("dataset", "protocol", "features", "model", "calibrator", "seed")
#: Datasets that cannot come with the program: ``path`` is where a user keeps them. What lies there
#: is told by its digest, which the committed results hold.
_KEPT_BY_USERS = frozenset({"sitrepbench.data.humaid.load_humaid"})
#: The tuner that searches nothing.
GIVEN = "sitrepbench.tuning.Given"


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
    text = path.read_text(encoding="utf-8")
    content = _content(text)
    reason = content.get("final_test") if isinstance(content, dict) else None
    if not reason:
        return None
    chosen = _listed(content, config.overrides)
    declared = None if chosen is None else _declared(path, text, chosen)
    files = [path]
    if declared is not None and config.tree["tuner"] != declared["tuner"]:
        # A refit of the settings that the study's own search has chosen.
        files.append(expectations_file(config.study))
        if not _is_refit(config.tree["tuner"], files[-1], chosen or (), declared["tuner"]):
            declared = None
    if declared is None or not _same(config.tree, declared):
        raise ConfigError(
            f"study {config.study!r} declares its look at a test split for its own dataset, "
            "protocol, features, models and tuner as committed, and this is another run. Leave "
            "the changes out, or run outside the study with unlock.reason='...'"
        )
    conf = resource_folder("conf")
    chosen_files = {conf / group / f"{name}.yaml" for group, name in config.names.items()}
    changed = (chosen_files | {conf / "config.yaml"}) & _changed_files(conf, _git_state(path))
    if changed:
        raise ConfigError(
            f"study {config.study!r} declares a look at a test split, but "
            f"{', '.join(sorted(file.name for file in changed))} in conf/ is not as committed. "
            "Commit it first, or undo the change: a declared look is one that others can see."
        )
    for file in files:
        if not _as_committed(file, file.read_text(encoding="utf-8"), _git_state(file)):
            raise ConfigError(
                f"study {config.study!r} declares a look at a test split, but {file.name} is not "
                "committed as it stands. Commit it first: a declared look is one that others can "
                "see."
            )
    return str(reason)


def expectations_file(study: str) -> Path:
    """Return where a study's committed results stand, whether or not there are any."""
    return resource_folder("experiments") / study / "expected.json"


def is_published(config: RunConfig) -> bool:
    """Return whether a study's committed results have a run, whatever its settings are now."""
    if config.study is None:
        return False
    path = resource_folder("experiments") / f"{config.study}.yaml"
    try:
        content = _content(path.read_text(encoding="utf-8"))
        chosen = _listed(content, config.overrides)
        file = expectations_file(config.study)
        text = file.read_text(encoding="utf-8")
        return (
            chosen is not None
            and any(set(run["overrides"]) == set(chosen) for run in json.loads(text)["runs"])
            and _as_committed(file, text, _git_state(file))
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _is_refit(
    tuner: Mapping[str, Any], file: Path, chosen: Sequence[str], search: Mapping[str, Any]
) -> bool:
    """Return whether a tuner gives what a study's committed results say was chosen for a run."""
    if tuner.get(TARGET) != GIVEN or not file.is_file():
        return False
    if list(tuner.get("without") or []) != left_out_by(search):
        return False
    try:
        runs = json.loads(file.read_text(encoding="utf-8"))["runs"]
        return any(
            set(run["overrides"]) == set(chosen) and run["chosen"] == (tuner.get("settings") or {})
            for run in runs
        )
    except (ValueError, KeyError, TypeError):
        return False


# What follows is asked for every run of a study, and kept per process by the file's content.


@lru_cache(maxsize=16)
def _content(text: str) -> Any:
    return yaml.safe_load(text)


def _listed(content: Mapping[str, Any], overrides: Sequence[str]) -> tuple[str, ...] | None:
    """Return which combination of the study's own sweep a run is; None if it is none."""
    swept = ((content.get("hydra") or {}).get("sweeper") or {}).get("params") or {}
    chosen: list[str] = []
    for key, values in swept.items():
        given = [text for text in overrides if text.partition("=")[0] == key]
        # Only values that the study lists; anything else is not its run.
        if not given or given[-1] not in _expanded(key, str(values)):
            return None
        chosen.append(given[-1])
    return tuple(chosen)


@lru_cache(maxsize=256)
def _expanded(key: str, values: str) -> frozenset[str]:
    """Return a swept key's values as overrides, in Hydra's grammar; none for an interval."""
    parser = OverridesParser.create(config_loader=program_loader())
    (parsed,) = parser.parse_overrides([f"{key}={values}"])
    if not parsed.is_sweep_override():
        return frozenset({f"{key}={parsed.get_value_element_as_str()}"})
    if not parsed.is_discrete_sweep():
        return frozenset()
    return frozenset(f"{key}={value}" for value in parsed.sweep_string_iterator())


@lru_cache(maxsize=4096)
def _declared(path: Path, text: str, chosen: tuple[str, ...]) -> Mapping[str, Any]:
    """Return what the study itself says for a run: composed anew, with its own choices only."""
    overrides = [f"{EXPERIMENTS}={path.stem}", *chosen]
    (config,) = _composer(path, text).compose([overrides])
    return config.tree


@lru_cache(maxsize=4)
def _composer(path: Path, text: str) -> JobComposer:
    loader = program_loader()
    return JobComposer(loader, master_config(loader))


def _same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return all(_held(one, group) == _held(two, group) for group in _HELD)


def _held(tree: Mapping[str, Any], group: str) -> Any:
    """Return what a look is declared for, without where each user keeps the files of it."""
    node = tree[group]
    if group == "dataset" and node.get(TARGET) in _KEPT_BY_USERS:
        return {name: value for name, value in node.items() if name != "path"}
    return node


def left_out_by(tuner: Mapping[str, Any]) -> list[str]:
    """Return the splits that a search's last fit leaves out, from its configuration.

    >>> left_out_by({"held_out": ["dev"], "refit": "others"})
    ['dev']
    """
    held_out = tuner.get("held_out") or []
    if tuner.get("refit") != "others":
        return []
    return [held_out] if isinstance(held_out, str) else list(held_out)


def _git_state(path: Path) -> tuple[int, ...]:
    """Return what changes when something is added or committed, as far as files tell it."""
    for folder in path.parents:
        git = folder / ".git"
        if git.is_file():  # a worktree or submodule, whose state lies elsewhere: ask each time
            return (time.monotonic_ns(),)
        if git.is_dir():
            files = (git / "index", git / "HEAD", git / "logs" / "HEAD")
            return tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)
    return ()


@lru_cache(maxsize=4)
def _changed_files(folder: Path, git_state: tuple[int, ...]) -> frozenset[Path]:
    """Return the tracked files of a folder that are not as committed; none outside of git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "diff", "--name-only", "--relative", "HEAD", "--", "."],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    names = done.stdout.splitlines() if done.returncode == 0 else []
    return frozenset(folder / name for name in names)


@lru_cache(maxsize=16)
def _as_committed(path: Path, text: str, git_state: tuple[int, ...]) -> bool:
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
