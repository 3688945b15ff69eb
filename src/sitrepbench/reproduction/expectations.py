"""A study's expectations: ``experiments/<study>/expected.json``, committed with the study.

What all runs have in common, such as the digests of the program's sources, is written once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sitrepbench.errors import ConfigError, StoreError
from sitrepbench.reproduction.facts import ALL_CELLS, RunFacts

EXPECTED_FILE = "expected.json"
EXPECTED_FORMAT = 1

_TOP: dict[str, type] = {
    "format": int,
    "study": str,
    "command": str,
    "created": str,
    "environment": dict,
    "key_parts": dict,
    "runs": list,
}
_RUN: dict[str, type] = {
    "name": str,
    "overrides": list,
    "chosen": dict,
    "key_parts": dict,
    "deterministic": bool,
    "predictions_digest": str,
    "scores": dict,
    "n": dict,
}
#: Only where they differ: from the first run's environment, and between a run's cells.
_OPTIONAL: dict[str, type] = {"environment": dict, "chosen_by_cell": dict}


@dataclass(frozen=True)
class Expectations:
    """What a study's runs must come to.

    Parameters
    ----------
    study : str
        Its name.
    command : str
        The command that runs it.
    created : str
        When they were written, ISO 8601 in UTC.
    runs : tuple of RunFacts
        In the order in which the study sweeps them.
    """

    study: str
    command: str
    created: str
    runs: tuple[RunFacts, ...]

    def run(self, overrides: Sequence[str]) -> RunFacts | None:
        """Return what the run with these own overrides must come to; None if it is not known."""
        wanted = set(overrides)
        return next((run for run in self.runs if set(run.overrides) == wanted), None)


def write_expectations(expectations: Expectations, path: Path) -> None:
    """Write expectations, replacing older ones.

    Raises
    ------
    StoreError
        When the file cannot be written.
    """
    runs = expectations.runs
    shared = _shared([run.key_parts for run in runs])
    environment = dict(runs[0].environment) if runs else {}
    content = {
        "format": EXPECTED_FORMAT,
        "study": expectations.study,
        "command": expectations.command,
        "created": expectations.created,
        "environment": environment,
        "key_parts": shared,
        "runs": [_plain(run, shared, environment) for run in runs],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error


def read_expectations(path: Path, *, command: str = "") -> Expectations | None:
    """Read expectations; None where there is no file.

    Parameters
    ----------
    path : Path
        The file.
    command : str
        What writes it anew, for the message; by default the one for a program's study of the
        folder's name.

    Raises
    ------
    ConfigError
        With all that is wrong with the file.
    """
    command = command or f"sitrepbench reproduce {path.parent.name} --update"
    remedy = f"Take the committed file, or write it anew with: {command}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}. {remedy}") from error
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}. {remedy}") from error
    problems = _problems(content)
    if problems:
        told = "\n".join(f"{path}: {problem}" for problem in problems)
        raise ConfigError(f"{told}\n{remedy}")
    return Expectations(
        content["study"],
        content["command"],
        content["created"],
        tuple(_facts(run, content) for run in content["runs"]),
    )


def _shared(all_parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the ingredients that are the same in all keys."""
    first, *others = all_parts or [{}]
    return {
        name: value
        for name, value in first.items()
        if all(name in parts and parts[name] == value for parts in others)
    }


def _plain(
    run: RunFacts, shared: Mapping[str, Any], environment: Mapping[str, Any]
) -> dict[str, Any]:
    plain = {item.name: getattr(run, item.name) for item in fields(RunFacts)}
    plain["overrides"] = list(run.overrides)
    plain["key_parts"] = {k: v for k, v in run.key_parts.items() if k not in shared}
    plain["chosen"] = run.settings or {}
    if run.chosen and run.settings is None:
        plain["chosen_by_cell"] = run.chosen
    if run.environment == environment:
        del plain["environment"]
    return plain


def _facts(run: Mapping[str, Any], content: Mapping[str, Any]) -> RunFacts:
    plain = dict(run)
    by_cell = plain.pop("chosen_by_cell", {})
    return RunFacts(
        **{
            **plain,
            "chosen": {ALL_CELLS: run["chosen"]} if run["chosen"] else by_cell,
            "overrides": tuple(run["overrides"]),
            "key_parts": {**content["key_parts"], **run["key_parts"]},
            "environment": run.get("environment", content["environment"]),
        }
    )


def _problems(content: Any) -> list[str]:
    if not isinstance(content, dict):
        return [f"a mapping is expected, and this is a {type(content).__name__}"]
    if content.get("format") != EXPECTED_FORMAT:
        return [f"format {content.get('format')!r}, and this program reads {EXPECTED_FORMAT}"]
    problems = _wrong(content, _TOP, {}, "") + _wrong_below(content, "")
    runs = content.get("runs")
    seen: set[tuple[str, ...]] = set()
    for at, run in enumerate(runs if isinstance(runs, list) else []):
        where = f"runs[{at}]"
        if not isinstance(run, dict):
            problems.append(f"{where}: a mapping is expected")
            continue
        wrong = _wrong(run, _RUN, _OPTIONAL, f"{where}.") + _wrong_below(run, f"{where}.")
        wrong = wrong or _wrong_numbers(run, where)
        problems += wrong
        if not wrong:
            own = tuple(sorted(map(str, run["overrides"])))
            if own in seen:
                problems.append(f"{where}.overrides: {list(own)} stands there twice")
            seen.add(own)
    return problems


def _wrong(
    node: Mapping[str, Any], wanted: Mapping[str, type], optional: Mapping[str, type], where: str
) -> list[str]:
    problems = [f"{where}{name}: is missing" for name in wanted if name not in node]
    kinds = {**wanted, **optional}
    problems += [f"{where}{name}: unknown key" for name in node if name not in kinds]
    problems += [
        f"{where}{name}: {kind.__name__} is expected, found {node[name]!r}"
        for name, kind in kinds.items()
        if name in node and not isinstance(node[name], kind)
    ]
    return problems


def _wrong_below(node: Mapping[str, Any], where: str) -> list[str]:
    """Return what is wrong one level further down, where the level above is right."""
    problems = []
    overrides = node.get("overrides")
    if isinstance(overrides, list):
        problems += [
            f"{where}overrides[{at}]: a text is expected, found {text!r}"
            for at, text in enumerate(overrides)
            if not isinstance(text, str)
        ]
    for name, inner in (
        ("environment", ("libraries",)),
        ("key_parts", ("config", "contents", "data", "sources", "own_code", "versions")),
    ):
        above = node.get(name)
        problems += [
            f"{where}{name}.{below}: a mapping is expected, found {above[below]!r}"
            for below in inner
            if isinstance(above, dict) and not isinstance(above.get(below, {}), dict)
        ]
    environment = node.get("environment")
    pools = environment.get("thread_pools", []) if isinstance(environment, dict) else []
    if not (isinstance(pools, list) and all(isinstance(pool, dict) for pool in pools)):
        problems.append(
            f"{where}environment.thread_pools: a list of mappings is expected, found {pools!r}"
        )
    return problems


def _wrong_numbers(run: Mapping[str, Any], where: str) -> list[str]:
    problems = []
    if set(run["scores"]) != set(run["n"]):
        problems.append(
            f"{where}: scores has the parts {sorted(run['scores'])} and n {sorted(run['n'])}"
        )
    for part, scores in run["scores"].items():
        if not isinstance(scores, dict):
            problems.append(f"{where}.scores.{part}: a mapping is expected")
            continue
        problems += [
            f"{where}.scores.{part}.{metric}: a number or null is expected, found {value!r}"
            for metric, value in scores.items()
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float))
        ]
    problems += [
        f"{where}.n.{part}: a count is expected, found {count!r}"
        for part, count in run["n"].items()
        if isinstance(count, bool) or not isinstance(count, int)
    ]
    problems += [
        f"{where}.chosen_by_cell.{cell}: a mapping is expected, found {settings!r}"
        for cell, settings in run.get("chosen_by_cell", {}).items()
        if not isinstance(settings, dict)
    ]
    return problems
