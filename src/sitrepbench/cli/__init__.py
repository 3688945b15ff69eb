"""The command line: parse, call, print, exit code. What a command needs is imported inside it."""

from __future__ import annotations

import argparse
import atexit
import os
import sys
from collections.abc import Sequence
from gc import freeze, set_threshold
from typing import Any

from sitrepbench import __version__
from sitrepbench.cli.annotation import add_annotation
from sitrepbench.cli.arguments import add_config_dir, add_store, count, days, port
from sitrepbench.cli.comparing import add_comparing
from sitrepbench.cli.data_tasks import add_data
from sitrepbench.cli.predict import add_predict
from sitrepbench.cli.serve import add_serve
from sitrepbench.cli.train import add_train
from sitrepbench.errors import SitrepBenchError, Terminated

INTERRUPTED = 130
#: Prints the traceback of an error that would be one message.
DEBUG_VARIABLE = "SITREPBENCH_DEBUG"

DESCRIPTION = """\
A research benchmark: what does a sentence of conflict reporting tell us?

  sitrepbench run dataset=table dataset.path=my.csv model=linear_svm
  sitrepbench status
  sitrepbench ui
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; see `sitrepbench.errors` for the codes."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # What is imported and composed stays; looking through it for garbage takes a tenth of the time,
    # and at its end Python does so once more, half a second with scikit-learn.
    set_threshold(50_000, 20, 20)
    atexit.register(freeze)
    try:
        if given[:1] == ["run"]:
            # Everything behind `run` is Hydra's grammar and is parsed by Hydra.
            from sitrepbench.cli.run import run_command

            return run_command(given[1:])
        parsed = _parse(given)
        return int(parsed.command(parsed) or 0)
    except SitrepBenchError as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        print(f"sitrepbench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("sitrepbench: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Terminated as order:
        print(f"sitrepbench: ended by {order}", file=sys.stderr)
        return order.exit_code
    except BrokenPipeError:
        # The reader of our output went away, as in `sitrepbench list | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parse(given: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; overrides may stand before and behind the options."""
    parser = _parser()
    parsed, rest = parser.parse_known_args(given)
    # argparse takes a list of words only where it stands in one piece.
    if rest and (not hasattr(parsed, "overrides") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        parsed.overrides = [*parsed.overrides, *rest]
    return parsed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sitrepbench",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="'sitrepbench COMMAND --help' tells more. Documentation: docs/ in the repository.",
    )
    parser.add_argument("--version", action="version", version=f"sitrepbench {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    # Listed here for --help; main() hands it over before this parser sees it.
    commands.add_parser("run", help="run one configuration, or with -m a sweep", add_help=False)

    _add_check_model(commands)
    _add_reproduce(commands)
    _add_verify(commands)
    _add_sweeps(commands)
    _add_list(commands)

    show = commands.add_parser("show", help="show the scores of a finished run")
    show.add_argument("run", help="a content key (or its beginning) or a run name")
    add_store(show)
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(command=_show)

    add_comparing(commands)

    keywords = commands.add_parser("keywords", help="show which keyword rules fire in a sentence")
    keywords.add_argument("text", nargs="+", help="the sentence")
    keywords.add_argument("--lexicon", default="english", help="a lexicon's name or file")
    keywords.set_defaults(command=_keywords)

    _add_explain(commands)
    _add_gc(commands)
    add_data(commands)
    add_annotation(commands)
    add_train(commands)
    add_predict(commands)
    add_serve(commands)

    ui = commands.add_parser("ui", help="open the MLflow UI at the leaderboard of a study")
    add_store(ui)
    ui.add_argument("--study", help="the study to open at (default: the latest)")
    ui.add_argument(
        "--port", type=port, help="the port on 127.0.0.1 (default: 5055, or a free one)"
    )
    ui.add_argument("--tracking-uri", help="another store or server than the results store's")
    ui.add_argument("--no-browser", action="store_true", help="only print the address")
    ui.set_defaults(command=_ui)
    return parser


def _add_check_model(commands: Any) -> None:
    check = commands.add_parser(
        "check-model",
        help="try a model on what its runs rely on, and say what is wrong with it",
        description=(
            "Build a model and its features as 'sitrepbench run' does, try it on a small made-up "
            "dataset (or on the development rows of dataset=...), and say what it breaks of what "
            "runs rely on, and how to mend it. The exit code is 0 only if nothing is broken."
        ),
    )
    check.add_argument(
        "overrides",
        nargs="+",
        metavar="MODEL|GROUP=CHOICE|KEY=VALUE",
        help="a model's name, and what else 'sitrepbench run' takes",
    )
    add_config_dir(check)
    check.add_argument("--json", action="store_true", help="as JSON")
    check.set_defaults(command=_check_model)


def _add_reproduce(commands: Any) -> None:
    reproduce = commands.add_parser(
        "reproduce",
        help="run a study and compare it with its committed results",
        description=(
            "Run what is missing of a study with the settings that are committed with it, and "
            "compare every number with the committed results: PASS or FAIL. The exit code is 0 "
            "only if all pass."
        ),
    )
    reproduce.add_argument("study", metavar="STUDY", help="a study of experiments/")
    reproduce.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="what decides no result, such as executor=serial",
    )
    reproduce.add_argument("--retune", action="store_true", help="repeat the searches as well")
    reproduce.add_argument(
        "--update", action="store_true", help="write new expectations, and show what differs"
    )
    add_store(reproduce)
    add_config_dir(reproduce)
    reproduce.add_argument("--json", action="store_true", help="as JSON")
    reproduce.set_defaults(command=_reproduce)


def _add_verify(commands: Any) -> None:
    verify = commands.add_parser(
        "verify",
        help="compute a finished run anew and compare",
        description=(
            "Rebuild a finished run's configuration, compute it anew, and compare labels, scores "
            "and chosen settings. The exit code is 0 only if all are the same."
        ),
    )
    verify.add_argument("run", help="a content key (or its beginning) or a run name")
    add_store(verify)
    verify.add_argument(
        "--tracking-uri", metavar="URI", help="another MLflow than the results store's"
    )
    verify.add_argument("--json", action="store_true", help="as JSON")
    verify.set_defaults(command=_verify)


def _add_sweeps(commands: Any) -> None:
    what = "list the sweeps of a results store, or show one of them in full"
    status = commands.add_parser(
        "status",
        help=what,
        description=what
        + ": its counts, the ranked runs, every failure with its cause and command, the runs under "
        "way, and how to go on.",
    )
    status.add_argument("sweep", nargs="?", help="a sweep's id, or its beginning")
    add_store(status)
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(command=_status)


def _add_list(commands: Any) -> None:
    what = "list the finished and the failed runs of a results store"
    listing = commands.add_parser("list", help=what, description=f"{what}, newest first")
    add_store(listing)
    which = listing.add_mutually_exclusive_group()
    which.add_argument(
        "--study", help="only the runs of this study: computed for it, or planned by its sweeps"
    )
    which.add_argument("--sweep", metavar="ID", help="only the runs that this sweep plans")
    listing.add_argument("--state", choices=("done", "failed"), help="only these (default: both)")
    most = listing.add_mutually_exclusive_group()
    most.add_argument(
        "--top", type=count, metavar="N", help="only the N best finished runs by macro-F1"
    )
    most.add_argument("--limit", type=count, metavar="N", help="only the N newest runs")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(command=_list, usage=listing.error)


def _add_explain(commands: Any) -> None:
    explain = commands.add_parser(
        "explain",
        help="say why a run was, or would be, taken from the store or not",
        description=(
            "Say why a run was, or would be, taken from the store or not, field by field: for "
            "GROUP=CHOICE and KEY=VALUE as 'sitrepbench run' takes them, what the store has of "
            "that run now; for a stored run, where it came from and what the same command would "
            "come to now; for a failed run, its cause in full. Nothing is computed."
        ),
    )
    explain.add_argument(
        "run",
        nargs="+",
        metavar="RUN|GROUP=CHOICE|KEY=VALUE",
        help="a content key (or its beginning), a run name, or what a run is given",
    )
    add_store(explain)
    add_config_dir(explain)
    explain.add_argument("--json", action="store_true", help="as JSON")
    explain.set_defaults(command=_explain)


def _add_gc(commands: Any) -> None:
    gc = commands.add_parser(
        "gc",
        help="free what no study and no kept sweep needs",
        description=(
            "Free the finished runs that no study in experiments/ and no sweep in the store "
            "needs, what dead processes left, damaged records, notes of failures that are over, "
            "lock files that nobody holds, and the cache of features. It shows what that is and "
            "asks first. Looks at test splits stay counted."
        ),
    )
    add_store(gc)
    gc.add_argument("--yes", action="store_true", help="do not ask")
    gc.add_argument("--dry-run", action="store_true", help="only show what would be freed")
    gc.add_argument(
        "--older-than",
        type=days,
        metavar="DAYS",
        help="leave what was made in the last so many days",
    )
    gc.add_argument(
        "--forget",
        nargs="+",
        default=[],
        metavar="SWEEP",
        help="sweeps that are needed no more: their ledgers go, and the runs that only they need",
    )
    gc.set_defaults(command=_gc)


def _check_model(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.check_model import check_model_command

    return check_model_command(parsed)


def _reproduce(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.reproduce import reproduce_command

    return reproduce_command(parsed)


def _verify(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.verify import verify_command

    return verify_command(parsed)


def _status(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.sweeps import list_sweeps, show_sweep

    if parsed.sweep is None:
        return list_sweeps(parsed.results_dir, as_json=parsed.json)
    return show_sweep(parsed.results_dir, parsed.sweep, as_json=parsed.json)


def _list(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.stored import Selection, list_runs

    if parsed.top is not None and parsed.state == "failed":
        parsed.usage("argument --top: failed runs have no score")
    selection = Selection(parsed.study, parsed.sweep, parsed.state, parsed.top, parsed.limit)
    return list_runs(parsed.results_dir, selection, as_json=parsed.json)


def _explain(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.explain import explain_run

    return explain_run(
        parsed.run,
        results_dir=parsed.results_dir,
        config_dir=parsed.config_dir,
        as_json=parsed.json,
    )


def _gc(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.gc import Limits, free_space

    return free_space(
        parsed.results_dir,
        Limits(parsed.older_than, tuple(parsed.forget)),
        ask=not parsed.yes,
        dry_run=parsed.dry_run,
    )


def _show(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.stored import show_run

    return show_run(parsed.results_dir, parsed.run, as_json=parsed.json)


def _keywords(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.stored import explain_keywords

    return explain_keywords(" ".join(parsed.text), lexicon=parsed.lexicon)


def _ui(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.ui import open_ui

    return open_ui(
        parsed.results_dir,
        study=parsed.study,
        port=parsed.port,
        tracking_uri=parsed.tracking_uri,
        open_browser=not parsed.no_browser,
    )
