"""A study's files: its YAML with question and command on top, and the folder beside it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from sitrepbench.errors import ConfigError, did_you_mean
from sitrepbench.reproduction.expectations import EXPECTED_FILE
from sitrepbench.reproduction.published import PUBLISHED_FILE
from sitrepbench.resources import resource_folder


@dataclass(frozen=True)
class StudyFiles:
    """Where a study lies, and what its first lines say.

    Parameters
    ----------
    name : str
        Its name.
    path : Path
        Its YAML file.
    question, command : str
        From the comment on top; empty where there is none.
    config_dir : str or None
        The user's folder that it was found in, as it was given; None for the program's own.
    """

    name: str
    path: Path
    question: str
    command: str
    config_dir: str | None = None

    @property
    def folder(self) -> Path:
        """The folder beside it, for its expectations and its report."""
        return self.path.with_suffix("")

    @property
    def expected(self) -> Path:
        """The file of its expectations."""
        return self.folder / EXPECTED_FILE

    @property
    def published(self) -> Path:
        """The file of published numbers to compare with, whether or not there is one."""
        return self.folder / PUBLISHED_FILE

    @property
    def is_own(self) -> bool:
        """Whether it is one of this program's own."""
        return self.path.parent == resource_folder("experiments")

    def words(self) -> list[str]:
        """Return what a command line needs to find it: its folder's option."""
        return [] if self.config_dir is None else ["--config-dir", self.config_dir]

    def reproduce_command(self, *options: str) -> str:
        """Return the command that reproduces it.

        >>> StudyFiles("mine", Path("own/mine.yaml"), "", "", "own").reproduce_command("--update")
        'sitrepbench reproduce mine --config-dir own --update'
        """
        return shlex.join(["sitrepbench", "reproduce", self.name, *self.words(), *options])

    def run_command(self) -> str:
        """Return the command that runs it: its own words, or what finds it."""
        words = ["sitrepbench", "run", *self.words(), f"experiments={self.name}"]
        return self.command or shlex.join(words)

    def tuner_keys(self) -> list[str]:
        """Return what its YAML itself sets below ``tuner``."""
        try:
            content = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError):
            return []  # composing it says what is wrong
        tuner = content.get("tuner") if isinstance(content, dict) else None
        return [str(key) for key in tuner] if isinstance(tuner, dict) else []


def find_study(name: str, config_dirs: Sequence[Path] = ()) -> StudyFiles:
    """Return the files of a study: the user's, or the program's.

    Raises
    ------
    ConfigError
        With the nearest name when there is none of this name, and when both have one: Hydra
        would run the program's.
    """
    program = resource_folder("experiments")
    known = {file.stem: file for file in program.glob("*.yaml")}
    given: dict[str, str] = {}
    for config_dir in config_dirs:
        folder = config_dir.resolve() / "experiments"
        if folder == program.resolve():
            continue
        for file in sorted(folder.glob("*.yaml")):
            if file.stem == name and known.get(name, file).parent == program:
                raise ConfigError(
                    f"{file}: the program has a study {name!r} of its own, which would be run in "
                    "its place. Give yours another name"
                )
            if file.stem not in known:
                known[file.stem], given[file.stem] = file, str(config_dir)
    if name not in known:
        raise ConfigError(
            f"no study {name!r}.{did_you_mean(name, known)} There are: "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    head = _head(known[name].read_text(encoding="utf-8"))
    return StudyFiles(
        name, known[name], head.get("Question", ""), head.get("Command", ""), given.get(name)
    )


def _head(text: str) -> dict[str, str]:
    r"""Return the fields of the comment on top; a line without a field goes on with the last.

    An empty line ends a field.

    >>> _head("# @package _global_\n# Question: who\n#   wins?\n# Command:  a b\nx: 1\n# Note: y")
    {'Question': 'who wins?', 'Command': 'a b'}
    """
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        content = line.lstrip("#").strip()
        start, colon, rest = content.partition(":")
        if colon and start.isalpha() and start[:1].isupper():
            name = start
            fields[name] = rest.strip()
        elif name and content:
            fields[name] = f"{fields[name]} {content}".strip()
        else:
            name = ""
    return fields
