"""``sitrepbench run``: Hydra's grammar and options, the program's own errors and output."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sitrepbench.config.compose import (
    CONFIG_NAME,
    EXPERIMENTS,
    as_named,
    compose_with,
    explained,
    hydra_session,
    sweep_with,
)
from sitrepbench.config.run_config import RunConfig, build, check_config
from sitrepbench.config.targets import check_targets
from sitrepbench.errors import ConfigError, SitrepBenchError

if TYPE_CHECKING:
    from sitrepbench.metrics.summary import Summary
    from sitrepbench.store.record import RunRecord

HELP = """\
usage: sitrepbench run [options] [GROUP=CHOICE ...] [KEY=VALUE ...]

Run one configuration; with -m, or where a study says so, every combination.

  sitrepbench run dataset=table dataset.path=my.csv model=linear_svm
  sitrepbench run -m dataset=seeds protocol=score model=keyword_rules,majority
  sitrepbench run experiments=seeds

options:
  -c, --cfg job|hydra|all   print the configuration instead of running it
      --resolve             with --cfg: with interpolations filled in
  -p, --package KEY         with --cfg: only that part, such as model
  -m, --multirun            run every combination of a,b,c and range(1,4)
  -cd, --config-dir DIR     a folder of your own config groups and studies
  -i, --info [WHAT]         what Hydra knows: defaults, searchpath, plugins ...
  -sc, --shell-completion   install=bash prints a completion script
      --hydra-help          Hydra's own options
  -h, --help                this page

choices:
"""


@dataclass(frozen=True)
class Outcome:
    """What became of one job: a record, or the error that a user should see."""

    overrides: tuple[str, ...]
    config: RunConfig | None = None
    record: RunRecord | None = None
    cached: bool = False
    summaries: dict[str, Summary] | None = None
    error: SitrepBenchError | None = None


def run_command(arguments: Sequence[str]) -> int:
    """Run what the arguments say and return the exit code."""
    parser = get_args_parser()
    parser.prog = "sitrepbench run"
    parsed = parser.parse_args(list(arguments))
    _check_options(parsed)
    parsed.overrides = as_named(parsed.overrides)
    config_dirs = [Path(parsed.config_dir)] if parsed.config_dir else []
    with hydra_session(config_dirs) as hydra:
        if parsed.help:
            print(HELP + "\n".join(_choices(hydra)))
            return 0
        if _inform(hydra, parsed):
            return 0
        config_name = parsed.config_name or CONFIG_NAME
        if parsed.cfg:
            if parsed.cfg == "job":
                check_config(compose_with(hydra, parsed.overrides, config_name=config_name))
            hydra.show_cfg(
                config_name=config_name,
                overrides=parsed.overrides,
                cfg_type=parsed.cfg,
                package=parsed.package,
                resolve=parsed.resolve,
            )
            return 0
        try:
            if parsed.multirun or _is_study_of_many(hydra, parsed, config_name):
                return _sweep(hydra, parsed, config_name, list(arguments))
            return _single(hydra, parsed, config_name, list(arguments))
        except (HydraException, OmegaConfBaseException) as error:
            raise explained(hydra, error, parsed.overrides) from error


def _check_options(parsed: argparse.Namespace) -> None:
    chosen = [
        name
        for name in ("run", "multirun", "cfg", "info", "shell_completion")
        if getattr(parsed, name)
    ]
    if len(chosen) > 1:
        raise ConfigError(f"only one of these can be asked for: {', '.join(chosen)}")
    if parsed.resolve and not parsed.cfg:
        raise ConfigError("--resolve goes with --cfg")
    if parsed.config_path or parsed.experimental_rerun:
        raise ConfigError("not supported; add a folder of your own with --config-dir")


def _choices(hydra: Hydra) -> Iterator[str]:
    """List the groups with their choices, wrapped for a terminal."""
    import textwrap

    loader = hydra.config_loader
    from sitrepbench.config.schema import GROUPS

    for group in (*GROUPS, EXPERIMENTS):
        options = ", ".join(loader.get_group_options(group))
        yield textwrap.fill(
            options, width=79, initial_indent=f"  {group:<12}", subsequent_indent=" " * 14
        )


def _inform(hydra: Hydra, parsed: argparse.Namespace) -> bool:
    """Answer what only Hydra knows; return whether that was asked for."""
    config_name = parsed.config_name or CONFIG_NAME
    if parsed.hydra_help:
        hydra.hydra_help(config_name=config_name, args_parser=get_args_parser(), args=parsed)
    elif parsed.shell_completion:
        hydra.shell_completion(config_name=config_name, overrides=parsed.overrides)
    elif parsed.info is not None:
        hydra.show_info(parsed.info, config_name=config_name, overrides=parsed.overrides)
    else:
        return False
    return True


def _is_study_of_many(hydra: Hydra, parsed: argparse.Namespace, config_name: str) -> bool:
    """Return whether the configuration itself says that it is a sweep.

    Composing takes a quarter of a second, so that is asked only where something could say so.
    """
    names = [text.lstrip("+~") for text in parsed.overrides]
    if not parsed.config_name and not any(
        name.startswith((EXPERIMENTS, "hydra")) for name in names
    ):
        return False
    mode = hydra.get_mode(config_name=config_name, overrides=parsed.overrides)
    return bool(mode is RunMode.MULTIRUN)


def _sweep(hydra: Hydra, parsed: argparse.Namespace, config_name: str, given: list[str]) -> int:
    """Run a sweep: Hydra's sweeper says which runs, the session brings them to their end."""
    composed = compose_with(
        hydra, parsed.overrides, config_name=config_name, run_mode=RunMode.MULTIRUN
    )
    _warm_up(composed)
    from sitrepbench.cli.sweep import SweepCommand

    nodes = composed.hydra
    own = str(nodes.sweeper.get("_target_", "")).startswith("hydra_plugins.sitrepbench")
    if not str(nodes.launcher.get("_target_", "")).startswith("hydra_plugins.sitrepbench"):
        return _foreign_sweep(hydra, parsed, config_name)
    with SweepCommand(given, expanded=own) as command:
        sweep_with(hydra, composed, command, config_name=config_name)
        return command.report()


def _warm_up(composed: DictConfig) -> None:
    """Let the workers' parent import while this process does; what is wrong is told later."""
    with contextlib.suppress(SitrepBenchError, OmegaConfBaseException, AttributeError):
        node: Any = OmegaConf.to_container(composed.executor, resolve=True)
        check_targets({"executor": node})
        build(node, path="executor").warm_up()


def _foreign_sweep(hydra: Hydra, parsed: argparse.Namespace, config_name: str) -> int:
    """Run a sweep with another launcher than this program's: without its ledger and display."""
    from sitrepbench.cli.outcome import report

    returned = hydra.multirun(
        config_name=config_name,
        task_function=_job,
        overrides=parsed.overrides,
        with_log_configuration=False,
    )
    return report([job.return_value for job in _flat(returned)], swept=True)


def _single(hydra: Hydra, parsed: argparse.Namespace, config_name: str, given: list[str]) -> int:
    from sitrepbench.cli.outcome import report

    # Composed once by itself, so that a mistake is told before anything starts.
    config = check_config(compose_with(hydra, parsed.overrides, config_name=config_name))
    if config.tree["executor"].get("time_limit") is not None:
        print(
            "executor.time_limit is for sweeps: with -m this run gets a process that can be ended.",
            file=sys.stderr,
        )
    if config.build("executor").elsewhere:
        from sitrepbench.cli.sweep import SweepCommand

        with SweepCommand(given, expanded=True) as command:
            command.launch([config])
            return command.report()
    return report([_run(config)], swept=False)


def _flat(returned: Any) -> Iterator[JobReturn]:
    if isinstance(returned, JobReturn):
        yield returned
    elif isinstance(returned, (list, tuple)):
        for item in returned:
            yield from _flat(item)


def _job(composed: DictConfig) -> Outcome:
    """Run one job; Hydra calls it, in a sweep once per combination."""
    hydra_node = HydraConfig.get()
    overrides = tuple(str(text) for text in hydra_node.overrides.task)
    whole = composed.copy()
    OmegaConf.set_struct(whole, False)
    whole["hydra"] = OmegaConf.create(
        {
            "runtime": {"choices": OmegaConf.to_container(hydra_node.runtime.choices)},
            "overrides": {"task": list(overrides)},
        }
    )
    try:
        return _run(check_config(whole))
    except SitrepBenchError as error:
        return Outcome(overrides, error=error)


def _run(config: RunConfig) -> Outcome:
    """Run one configuration in this process."""
    from sitrepbench.cli.progress import cells_progress
    from sitrepbench.cli.tracked import shown_live
    from sitrepbench.preparing import prepare
    from sitrepbench.reuse.memory import FittedFeatures
    from sitrepbench.runs import obtain
    from sitrepbench.store.results import ResultsStore

    try:
        prepared = prepare(config)
        store = ResultsStore(config.results_dir)
        # One run shares nothing in memory, but dear features may lie on the disk.
        fitted = FittedFeatures(0, folder=store.folder)
        progress = cells_progress(" ".join(config.overrides) or "run")
        with progress as on_cell, shown_live(prepared, store):
            obtained = obtain(prepared, store, on_cell=on_cell, fitted=fitted)
    except SitrepBenchError as error:
        return Outcome(config.overrides, error=error)
    return Outcome(config.overrides, config, obtained.record, obtained.cached, obtained.summaries)


__all__ = ["Outcome", "run_command"]
