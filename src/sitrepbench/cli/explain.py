"""``sitrepbench explain``: why a run was, or would be, taken from the store or not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitrepbench.cli.lines import (
    WIDTH,
    command_lines,
    moment,
    one_line,
    paragraph_lines,
    print_lines,
)
from sitrepbench.cli.stored import open_store, store_option
from sitrepbench.config.differences import Difference, differences, ingredients
from sitrepbench.errors import ConfigError, SitrepBenchError, StoreError
from sitrepbench.store.failures import FailedRun, FailedRuns
from sitrepbench.store.index import IndexRow
from sitrepbench.store.results import ResultsStore
from sitrepbench.sweep.jobs import State
from sitrepbench.sweep.ledger import Event, PlannedRun, SweepPlan, ledgers

if TYPE_CHECKING:
    from sitrepbench.preparing import PreparedRun
    from sitrepbench.store.record import RunRecord

#: Stored runs that are compared, those with the same names first, and those that are shown.
_COMPARED = 200
_NEAREST = 3
_FIELDS = 12
#: What Hydra takes; a run's name has an equals sign only behind a blank, as in ``svm word C=1``.
_OVERRIDE = re.compile(r"~|[+]*[^\s=]+=")
#: Overrides that decide nothing about a run: see `sitrepbench.config.key.LEFT_OUT`.
_DECIDES_NOTHING = re.compile(r"[+~]*(tracking|executor|results_dir|resume)\b")


@dataclass(frozen=True)
class Use:
    """One time that a sweep came to a run."""

    sweep: str
    study: str
    event: Event

    def text(self) -> str:
        """Return it as a line."""
        event = self.event
        how = {
            State.done.value: f"computed in {event.seconds:.1f} s",
            State.cached.value: "taken from the store",
            State.failed.value: "failed",
        }[event.what]
        where = f" on {event.where}" if event.where else ""
        return f"{moment(event.time)} UTC  {how}{where} by sweep {self.sweep[:8]} ({self.study})"


def uses_of(key: str, results_dir: Path) -> list[Use]:
    """Return what the ledgers of a store tell of a run, oldest first."""
    told = (State.done.value, State.cached.value, State.failed.value)
    found = []
    for ledger in ledgers(results_dir):
        try:
            plan = ledger.plan()
            if any(run.key == key for run in plan.runs):
                events = [event for event in ledger.events() if event.key == key]
                found += [Use(plan.id, plan.study, e) for e in events if e.what in told]
        except StoreError:
            continue  # 'sitrepbench status' tells of it
    return sorted(found, key=lambda use: use.event.time)


def explain_run(
    given: Sequence[str], *, results_dir: str, config_dir: str | None, as_json: bool
) -> int:
    """Explain a run by what it is given, or by its key or name.

    Raises
    ------
    SitrepBenchError
        When it does not compose, its data cannot be loaded, or there is no such run.
    """
    config_dirs = [Path(config_dir)] if config_dir else []
    if all(_OVERRIDE.match(text) for text in given):
        told = _explain_given(given, results_dir, config_dirs)
    else:
        told = _explain_stored(" ".join(given), results_dir, config_dirs)
    if as_json:
        print(json.dumps(told.content, indent=1, ensure_ascii=False, default=str))
    else:
        print_lines(told.lines)
    return 0


@dataclass(frozen=True)
class Explanation:
    """The same for people, as lines, and for machines, as plain values."""

    lines: list[str]
    content: dict[str, Any]


def prepare_now(overrides: Sequence[str], config_dirs: Sequence[Path]) -> PreparedRun:
    """Compose what ``sitrepbench run`` would run now, load its data and compute its key."""
    from sitrepbench.config.compose import compose
    from sitrepbench.config.run_config import check_config
    from sitrepbench.preparing import prepare

    return prepare(check_config(compose(overrides, config_dirs=config_dirs)))


def _explain_given(
    given: Sequence[str], results_dir: str, config_dirs: Sequence[Path]
) -> Explanation:
    from sitrepbench.told import run_name

    try:
        prepared = prepare_now(given, config_dirs)
    except ConfigError as error:
        if "--multirun" in str(error):
            raise ConfigError(
                "explain takes one run: give every key one value. The runs of a sweep and their "
                "keys: sitrepbench list --sweep ID"
            ) from error
        raise
    if any(text.lstrip("+").startswith("results_dir=") for text in given):
        results_dir = str(prepared.config.results_dir)
    name = run_name(prepared.config, prepared.pipeline)
    lines = [f"Key {prepared.key}: {one_line(name)} on {one_line(prepared.plan.scored.name)}."]
    content: dict[str, Any] = {
        "key": prepared.key, "run_name": name, "key_parts": prepared.parts
    }  # fmt: skip
    if not (Path(results_dir).expanduser() / "runs").is_dir():
        lines.append(f"There is no results store {results_dir} yet, so it would be computed.")
        return Explanation(lines, {**content, "state": "absent", "nearest": []})
    store = open_store(results_dir)
    record, damage = _record_or_damage(prepared.key, store)
    uses = uses_of(prepared.key, store.folder)
    content["sweeps"] = [_use_as_json(use) for use in uses]
    if record is not None:
        lines.append("The store has it, so it would be taken from there.")
        lines += _made_lines(record, uses)
        return Explanation(lines, {**content, "state": "done", **_made(record)})
    lines.append("The store does not have it, so it would be computed.")
    if damage:
        lines += paragraph_lines(f"Its record cannot be used: {damage}")
    failed = FailedRuns(store.folder).find(prepared.key)
    if failed is not None:
        content["failure"] = asdict(failed)
        lines += paragraph_lines(
            f"It failed before, {_times(failed.attempts)}, the last time {moment(failed.time)} "
            f"UTC: {failed.kind}: {failed.message}"
        )
        lines.append(f"In full: sitrepbench explain{store_option(results_dir)} {failed.key}")
    lines += _use_lines(uses)
    nearest = _nearest(prepared, store)
    content |= {"state": "failed" if failed else "absent", "nearest": []}
    for row, found in nearest:
        fields = [difference.plain() for difference in found]
        content["nearest"].append({"key": row.key, "run_name": row.run_name, "differences": fields})
    return Explanation([*lines, *_nearest_lines(nearest)], content)


def _record_or_damage(key: str, store: ResultsStore) -> tuple[RunRecord | None, str]:
    """Return a record without setting it aside where it is damaged, and what is wrong with it."""
    from sitrepbench.store.record import read_record

    if key not in store.finished():
        return None, ""
    try:
        return read_record(store.runs / key), ""
    except StoreError as error:
        return None, str(error)


def _nearest(prepared: PreparedRun, store: ResultsStore) -> list[tuple[IndexRow, list[Difference]]]:
    """Return the stored runs that differ in the fewest fields, of those with the same names."""
    names = prepared.config.names
    asked = (prepared.plan.scored.name, names["protocol"], names["features"], names["model"])

    def strange(row: IndexRow) -> int:
        stored = (row.dataset, row.protocol, row.features, row.model)
        return sum(one != two for one, two in zip(asked, stored, strict=True))

    compared = []
    for row in sorted(store.rows(), key=strange)[:_COMPARED]:
        parts = _key_parts(store.runs / row.key)
        if parts is not None:
            compared.append((row, list(differences(parts, prepared.parts))))
    return sorted(compared, key=lambda item: (strange(item[0]), len(item[1])))[:_NEAREST]


def _key_parts(folder: Path) -> dict[str, Any] | None:
    try:
        parts = json.loads((folder / "record.json").read_text(encoding="utf-8"))["key_parts"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return parts if isinstance(parts, dict) else None


def _nearest_lines(nearest: Sequence[tuple[IndexRow, list[Difference]]]) -> list[str]:
    if not nearest:
        return ["The store has no run to compare it with."]
    lines = ["", "The nearest stored runs, and what differs (stored -> asked for):"]
    for row, found in nearest:
        lines.append(f"  {row.key[:8]}  {one_line(row.run_name)}  {moment(row.created)} UTC")
        lines += _difference_lines(found)
    return lines


def _difference_lines(found: Sequence[Difference]) -> list[str]:
    lines = [one_line(f"    {d.text()}", WIDTH - 4) for d in found[:_FIELDS]]
    if len(found) > _FIELDS:
        lines.append(f"... and {len(found) - _FIELDS} more: --json has them all")
    return [f"    {line}" for line in lines]


def _explain_stored(name: str, results_dir: str, config_dirs: Sequence[Path]) -> Explanation:
    store = open_store(results_dir)
    failures = FailedRuns(store.folder)
    finished = store.finished()
    rows = store.rows()
    notes = [note for note in failures.all() if note.key not in finished]
    found = {row.key for row in rows if row.key.startswith(name) or row.run_name == name}
    failed = {n.key: n for n in notes if n.key.startswith(name) or n.run_name == name}
    if len(found) + len(failed) > 1 and failed:
        keys = ", ".join(sorted([*found, *failed])[:5])
        raise StoreError(f"{name!r} could be any of {len(found) + len(failed)} runs: {keys}")
    if failed:
        (note,) = failed.values()
        return _explain_failed(note, uses_of(note.key, store.folder))
    planned = None if found else _planned(name, store.folder)
    if planned is not None:
        return _explain_planned(planned, results_dir, config_dirs)
    record = store.resolve(name)
    uses = uses_of(record.key, store.folder)
    lines = [f"Run {record.key}: {one_line(record.run_name)} of study {one_line(record.study)}."]
    lines += [*_made_lines(record, uses), "", "What its key is made of:"]
    lines += [f"  {text}" for text in ingredients(record.key_parts)]
    now_lines, now = _compared_with_now(record, config_dirs)
    content = {
        "key": record.key,
        "state": "done",
        **_made(record),
        "key_parts": record.key_parts,
        "sweeps": [_use_as_json(use) for use in uses],
        "now": now,
    }
    return Explanation([*lines, "", *now_lines], content)


def _planned(name: str, results_dir: Path) -> tuple[SweepPlan, PlannedRun, str] | None:
    """Return a run that a sweep plans and the store has not, with what the sweep says of it."""
    for ledger in ledgers(results_dir):
        try:
            status = ledger.status()
        except StoreError:
            continue
        for run in status.plan.runs:
            if run.key and (run.key.startswith(name) or run.run_name == name):
                return status.plan, run, status.notes.get(run.key, "")
    return None


def _explain_planned(
    planned: tuple[SweepPlan, PlannedRun, str], results_dir: str, config_dirs: Sequence[Path]
) -> Explanation:
    plan, run, note = planned
    head = [
        f"Planned by sweep {plan.id[:8]} ({one_line(plan.study)}) as {one_line(run.run_name)}:",
        *command_lines(run.command),
        *paragraph_lines(note),
    ]
    content = {"planned_by": plan.id, "command": run.command, "cause": note}
    overrides = [text for text in run.overrides if not _DECIDES_NOTHING.match(text)]
    try:
        told = _explain_given(overrides, results_dir, config_dirs)
    except SitrepBenchError as error:
        lines = ["Now it would be refused:", *paragraph_lines(str(error), indent="  ")]
        return Explanation(
            [*head, *lines], {"key": None, "state": "absent", "error": str(error), **content}
        )
    return Explanation([*head, "", *told.lines], {**told.content, **content})


def _compared_with_now(
    record: RunRecord, config_dirs: Sequence[Path]
) -> tuple[list[str], dict[str, Any]]:
    """Say what the command of a stored run comes to now, with today's code, data and libraries."""
    overrides = [text for text in record.overrides if not _DECIDES_NOTHING.match(text)]
    try:
        prepared = prepare_now(overrides, config_dirs)
    except SitrepBenchError as error:
        lines = ["Now the same command would be refused:"]
        lines += paragraph_lines(str(error), indent="  ")
        if not config_dirs:
            lines.append("If it was run with --config-dir DIR, give that to explain as well.")
        return lines, {"key": None, "same": False, "error": str(error), "differences": []}
    found = list(differences(record.key_parts, prepared.parts))
    plain = {
        "key": prepared.key,
        "same": prepared.key == record.key,
        "differences": [difference.plain() for difference in found],
    }
    if prepared.key == record.key:
        return ["Now the same command would be taken from the store."], plain
    head = f"Now the same command comes to another key, {prepared.key} (stored -> now):"
    return [head, *_difference_lines(found)], plain


def _explain_failed(note: FailedRun, uses: Sequence[Use]) -> Explanation:
    lines = [
        f"Run {note.key}: {one_line(note.run_name)} of study {one_line(note.study)} failed "
        f"{_times(note.attempts)}.",
        f"The last time {moment(note.time)} UTC on {note.where} after {note.seconds:.1f} s, with "
        f"exit code {note.exit_code}:",
        *paragraph_lines(f"{note.kind}: {note.message}", indent="  "),
        *command_lines(note.command),
        *_use_lines(uses),
    ]
    if note.details:
        # Not cut to the screen: a traceback is read as it is.
        plain = "".join(c if c.isprintable() or c == "\n" else " " for c in note.details)
        lines += ["", *plain.rstrip().splitlines()]
    content = {**asdict(note), "state": "failed", "sweeps": [_use_as_json(use) for use in uses]}
    return Explanation(lines, content)


def _made(record: RunRecord) -> dict[str, Any]:
    return {
        "run_name": record.run_name,
        "study": record.study,
        "created": record.created,
        "host": record.environment.get("host"),
        "seconds": record.seconds["total"],
        "overrides": record.overrides,
    }


def _made_lines(record: RunRecord, uses: Sequence[Use]) -> list[str]:
    import shlex

    host = record.environment.get("host")
    where = f" on {host}" if host else ""
    made = f"Made {moment(record.created)} UTC{where} in {record.seconds['total']:.1f} s by"
    command = shlex.join(["sitrepbench", "run", *record.overrides])
    return [made, *command_lines(command), *_use_lines(uses)]


def _use_lines(uses: Sequence[Use]) -> list[str]:
    return [one_line(use.text(), WIDTH) for use in uses]


def _use_as_json(use: Use) -> dict[str, Any]:
    return {"sweep": use.sweep, "study": use.study, **asdict(use.event)}


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
