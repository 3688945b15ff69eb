"""``sitrepbench run``: Hydra's grammar and options, the program's own errors and output."""

from __future__ import annotations

import argparse
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
    compose_with,
    explained,
    hydra_session,
)
from sitrepbench.config.run_config import RunConfig, check_config
from sitrepbench.errors import ConfigError, SitrepBenchError

if TYPE_CHECKING:
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
    error: SitrepBenchError | None = None


def run_command(arguments: Sequence[str]) -> int:
    """Run what the arguments say and return the exit code."""
    parser = get_args_parser()
    parser.prog = "sitrepbench run"
    parsed = parser.parse_args(list(arguments))
    _check_options(parsed)
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
            outcomes, swept = _execute(hydra, parsed, config_name)
        except (HydraException, OmegaConfBaseException) as error:
            raise explained(hydra, error, parsed.overrides) from error
        from sitrepbench.cli.outcome import report

        return report(outcomes, swept=swept)


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


def _execute(
    hydra: Hydra, parsed: argparse.Namespace, config_name: str
) -> tuple[list[Outcome], bool]:
    mode = hydra.get_mode(config_name=config_name, overrides=parsed.overrides)
    swept = bool(parsed.multirun or mode is RunMode.MULTIRUN)
    run = hydra.multirun if swept else hydra.run
    if not swept:
        # Composed once by itself, so that a mistake is told before anything starts.
        check_config(compose_with(hydra, parsed.overrides, config_name=config_name))
    returned = run(
        config_name=config_name,
        task_function=_job,
        overrides=parsed.overrides,
        with_log_configuration=False,
    )
    return [outcome for job in _flat(returned) for outcome in [job.return_value]], swept


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
        config = check_config(whole)
        from sitrepbench.cli.progress import cells_progress
        from sitrepbench.runs import obtain, prepare
        from sitrepbench.store.results import ResultsStore

        prepared = prepare(config)
        store = ResultsStore(config.results_dir)
        with cells_progress(" ".join(overrides) or "run") as on_cell:
            record, cached = obtain(prepared, store, on_cell=on_cell)
    except SitrepBenchError as error:
        return Outcome(overrides, error=error)
    return Outcome(overrides, config, record, cached)


__all__ = ["Outcome", "run_command"]
