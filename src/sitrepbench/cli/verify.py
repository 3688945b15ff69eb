"""``sitrepbench verify``: a finished run computed anew, and every number compared."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sitrepbench.cli.lines import one_line, paragraph_lines, print_lines
from sitrepbench.cli.stored import open_store
from sitrepbench.config.differences import differences
from sitrepbench.config.run_config import RunConfig
from sitrepbench.config.schema import GROUPS, RunSchema
from sitrepbench.config.session_code import SESSION
from sitrepbench.config.targets import TARGET, check_targets, locate
from sitrepbench.errors import ConfigError, SitrepBenchError
from sitrepbench.report.reproduction import comparison_dict, print_comparisons
from sitrepbench.reproduction.compare import Comparison, cause_text, compare_run
from sitrepbench.reproduction.facts import RunFacts, environment_of, facts_of, scores_of
from sitrepbench.store.results import ResultsStore

if TYPE_CHECKING:
    from sitrepbench.preparing import PreparedRun

DONE, FAILED = 0, 1
#: The group that records of earlier versions do not have.
CALIBRATOR = "calibrator"


@dataclass(frozen=True)
class Recorded:
    """A finished run as its record, or its artifacts in MLflow, tell of it.

    Parameters
    ----------
    key, name : str
        Of the run.
    facts : RunFacts
        What it came to.
    tree, names, overrides
        Its configuration as it is recorded.
    reason : str
        Why it was allowed to read a test split; empty where it read none.
    whole : bool
        Whether all ingredients of its key are known, as they are from a record.
    """

    key: str
    name: str
    facts: RunFacts
    tree: Mapping[str, Any]
    names: Mapping[str, str]
    overrides: tuple[str, ...]
    reason: str
    whole: bool = True


def verify_command(parsed: argparse.Namespace) -> int:
    """Verify a run and return the exit code: 0 only if every number is the same.

    Raises
    ------
    SitrepBenchError
        When there is no such run, or its record cannot be read.
    """
    if parsed.tracking_uri is None:
        recorded = _of_store(open_store(parsed.results_dir), parsed.run)
    else:
        recorded = _of_mlflow(parsed.results_dir, parsed.tracking_uri, parsed.run)
    try:
        comparison = _verified(recorded, parsed.results_dir, quiet=bool(parsed.json))
    except SitrepBenchError as error:
        text = _session_text(recorded) or f"{type(error).__name__}: {error}"
        comparison = Comparison(recorded.facts, None, error=f"it cannot be rebuilt: {text}")
    if parsed.json:
        plain = {"key": recorded.key, **comparison_dict(comparison)}
        print(json.dumps(plain, indent=1, ensure_ascii=False, default=str))
    else:
        print_comparisons([comparison], console=Console())
    return DONE if comparison.passed else FAILED


def _of_store(store: ResultsStore, name: str) -> Recorded:
    record = store.resolve(name)
    return Recorded(
        record.key,
        record.run_name,
        facts_of(record),
        record.config,
        record.names,
        tuple(record.overrides),
        record.looks[0]["reason"] if record.looks else "",
    )


def _of_mlflow(results_dir: str, uri: str, name: str) -> Recorded:
    from sitrepbench.tracking.logged import fetch_run
    from sitrepbench.tracking.settings import tracking_settings

    settings = tracking_settings(Path(results_dir).expanduser().resolve(), "any", uri=uri)
    run = fetch_run(settings, name)
    # It was read then for the reason that the configuration gives.
    unlock = run.config.get("unlock") or {}
    reason = unlock.get("reason") or run.config.get("final_test") or ""
    scores, n = scores_of(run.predictions)
    facts = RunFacts(
        name=run.name,
        overrides=(),
        chosen={},
        key_parts=_told_by_mlflow(run.dataset_digest),
        environment=environment_of(run.environment),
        deterministic=True,
        predictions_digest=run.predictions.digest(),
        scores=scores,
        n=n,
    )
    return Recorded(run.key, run.name, facts, run.config, run.names, (), str(reason), whole=False)


def _told_by_mlflow(scored: str) -> dict[str, Any]:
    """Return what MLflow keeps of a key's ingredients: the digest of the data that were scored."""
    return {"data": {"scored": scored}}


def rebuilt(
    tree: Mapping[str, Any], names: Mapping[str, str], overrides: tuple[str, ...]
) -> RunConfig:
    """Return the configuration of a recorded run, checked.

    Raises
    ------
    ConfigError
        When it is of another version of this program, or names what is not there any more.
    """
    known = set(RunSchema.__dataclass_fields__)
    # Runs that were recorded before there were calibrators had none.
    tree = {CALIBRATOR: {TARGET: None}, **tree}
    names = {CALIBRATOR: "none", **names}
    odd = sorted(known ^ set(tree))
    if odd:
        raise ConfigError(
            "the run was recorded by another version of sitrepbench; its configuration has or "
            f"lacks the top-level key(s) {', '.join(odd)}"
        )
    check_targets(tree)
    return RunConfig(dict(tree), {group: str(names.get(group)) for group in GROUPS}, overrides)


def _verified(recorded: Recorded, results_dir: str, *, quiet: bool) -> Comparison:
    """Compute a run anew, beside the store, and compare."""
    from sitrepbench.cli.progress import cells_progress
    from sitrepbench.preparing import prepare
    from sitrepbench.runs import obtain, record_looks

    config = rebuilt(recorded.tree, recorded.names, recorded.overrides)
    with tempfile.TemporaryDirectory(prefix="sitrepbench-") as folder:
        tree = {**config.tree, "results_dir": folder, "resume": "never"}
        prepared = prepare(replace(config, tree=tree), reason=recorded.reason)
        if prepared.locked:
            # It is one more look, if somebody else than the run's maker takes it.
            record_looks(prepared, ResultsStore(Path(results_dir).expanduser()))
        if not quiet:
            _tell(recorded, prepared)
        with cells_progress(recorded.name) as on_cell:
            obtained = obtain(prepared, ResultsStore(Path(folder)), on_cell=on_cell)
        found = facts_of(obtained.record)
    found = replace(found, name=recorded.facts.name)
    if not recorded.whole:
        parts = _told_by_mlflow(found.key_parts["data"]["scored"])
        found = replace(found, key_parts=parts, chosen={})
    return compare_run(recorded.facts, found, searched=True)


def _session_text(recorded: Recorded) -> str:
    """Say which steps were defined in a session that is over; empty where none was."""
    gone = {target for target in targets_of(recorded.tree) if _is_gone(target)}
    if not gone:
        return ""
    return (
        f"{', '.join(sorted(gone))}: defined in a session that is over, and in no file. Put "
        "it into a module that can be imported, and run it again"
    )


def _is_gone(target: str) -> bool:
    if not target.startswith(f"{SESSION}."):
        return False
    try:
        locate(target)
    except ConfigError:
        return True
    return False


def targets_of(node: Any) -> Iterator[str]:
    """Yield every ``_target_`` of a configuration."""
    below: Iterable[Any] = ()
    if isinstance(node, Mapping):
        if isinstance(node.get(TARGET), str):
            yield node[TARGET]
        below = node.values()
    elif isinstance(node, list):
        below = node
    for item in below:
        yield from targets_of(item)


def _tell(recorded: Recorded, prepared: PreparedRun) -> None:
    head = f"Run {recorded.key}, {one_line(recorded.name)}: computed anew"
    if prepared.key == recorded.key:
        print_lines([f"{head} from its configuration; code, data and libraries are the same."])
        return
    parts = prepared.parts
    if not recorded.whole:
        parts = _told_by_mlflow(parts["data"]["scored"])
    lines = [cause_text(item) for item in differences(recorded.facts.key_parts, parts)]
    if not lines:
        lines = ["something that MLflow does not keep: code, settings of the program, or libraries"]
    print_lines([f"{head}, but not as it was (recorded -> now):"])
    print_lines([line for text in lines for line in paragraph_lines(text, indent="  ")])
