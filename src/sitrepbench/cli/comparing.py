"""The parsers of the commands that compare, rank, look into and check what was run."""

from __future__ import annotations

import argparse
from typing import Any

from sitrepbench.cli.arguments import add_config_dir, add_store, count, share

_ENTRY = (
    "a content key (or its beginning), a run name, a predictions file (CSV, JSONL, Parquet), a "
    "submission's card or, with --study, a model of the study"
)


def add_comparing(commands: Any) -> None:
    """Add compare, leaderboard, submission, errors, check and looks."""
    _add_compare(commands)
    _add_leaderboard(commands)
    _add_submission(commands)
    _add_errors(commands)
    _add_check(commands)
    _add_looks(commands)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="say whether models differ by more than chance",
        description=(
            "Compare models on the same documents: paired differences with intervals by "
            "documents, a randomisation test, the smallest difference that these data could "
            "show, and where the models disagree."
        ),
    )
    compare.add_argument("entries", nargs="+", metavar="RUN|MODEL|FILE|CARD", help=_ENTRY)
    add_store(compare)
    compare.add_argument("--study", help="the study whose models are named")
    compare.add_argument("--part", help="what to compare on (default: dev or cv, as far as common)")
    compare.add_argument(
        "--dataset",
        metavar="NAME|FILE",
        help="where the gold labels of a predictions file stand (default: those of the runs)",
    )
    compare.add_argument(
        "--reason", help="why a file is scored on a test split, which counts as a look"
    )
    compare.add_argument(
        "--permutations",
        type=count,
        default=9999,
        help="of the randomisation test (default: %(default)s)",
    )
    compare.add_argument(
        "--examples",
        type=int,
        default=3,
        help="sentences to show per pair where they disagree (default: %(default)s)",
    )
    compare.add_argument("--csv", metavar="FILE", help="also write the differences as CSV")
    compare.add_argument("--json", action="store_true", help="as JSON")
    compare.set_defaults(command=_compare)


def _add_leaderboard(commands: Any) -> None:
    board = commands.add_parser(
        "leaderboard",
        help="rank the models of a study, with rank intervals and ties",
        description=(
            "Rank the finished runs of a study and its submissions: scores and ranks with "
            "intervals by documents, which models cannot be told apart, what they cost. Refuses "
            "where runs are missing, or were made on other data, protocols or code."
        ),
    )
    board.add_argument("study", metavar="STUDY", help="a study of experiments/")
    add_store(board)
    add_config_dir(board)
    board.add_argument("--part", help="rank by this part (default: dev or cv)")
    board.add_argument(
        "--submission",
        action="append",
        default=[],
        metavar="CARD",
        help="a submission's card, beside those kept with the study; may be given several times",
    )
    board.add_argument(
        "--reason", help="why a submission is scored on a test split, which counts as a look"
    )
    board.add_argument(
        "--output",
        metavar="FILE",
        action="append",
        default=[],
        help=(
            "also write it: .md, .csv, .json or .html; .svg or .png for its figures (rank "
            "intervals, cost and quality); may be given several times"
        ),
    )
    board.add_argument("--json", action="store_true", help="as JSON")
    board.set_defaults(command=_leaderboard)


def _add_submission(commands: Any) -> None:
    submission = commands.add_parser(
        "submission",
        help="check a submission: a predictions file with its card",
        description=(
            "Check a submission's card and predictions, and say everything that is wrong with "
            "them. The exit code is 0 only if it can be ranked."
        ),
    )
    submission.add_argument("card", metavar="CARD", help="the card, a YAML file")
    submission.add_argument("--json", action="store_true", help="as JSON")
    submission.set_defaults(command=_submission)


def _add_errors(commands: Any) -> None:
    errors = commands.add_parser(
        "errors",
        help="look into what a run gets wrong",
        description=(
            "Show a run's confusions with examples, its most confident mistakes, where it errs "
            "(conflict, register, length, position ...), labels that may be wrong, and for linear "
            "models the features that speak for each label. The tables and figures are added to "
            "the run in MLflow."
        ),
    )
    errors.add_argument("run", help="a content key (or its beginning) or a run name")
    add_store(errors)
    errors.add_argument("--part", help="which part (default: dev or cv)")
    errors.add_argument(
        "--examples", type=count, default=5, help="sentences per table (default: %(default)s)"
    )
    errors.add_argument(
        "--top-features",
        action="store_true",
        help="fit the run's model once more and show the features that speak for each label",
    )
    errors.add_argument("--output", metavar="FOLDER", help="also write a page, tables and figures")
    errors.add_argument("--tracking-uri", metavar="URI", help="another MLflow than the store's")
    errors.add_argument("--no-tracking", action="store_true", help="leave MLflow alone")
    errors.add_argument("--json", action="store_true", help="as JSON")
    errors.set_defaults(command=_errors)


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="look for mistakes of method in a study or in runs",
        description=(
            "Ask coded questions (SB001 ...) about a study of experiments/ or about runs: leaks, "
            "peeks, unequal budgets, claims that the data cannot carry. The exit code is 0 only "
            "if there is no issue."
        ),
    )
    check.add_argument(
        "targets", nargs="*", metavar="STUDY|RUN", help="a study's name, or content keys, run names"
    )
    add_store(check)
    add_config_dir(check)
    check.add_argument("--only", metavar="CODES", help="only these checks, such as SB001,SB007")
    check.add_argument("--skip", metavar="CODES", help="all checks but these")
    check.add_argument("--list", action="store_true", help="list the checks, and ask nothing")
    check.add_argument("--explain", metavar="CODE", help="explain a check, and ask nothing")
    check.add_argument(
        "--refit",
        action="store_true",
        help="fit runs once more for the checks that need their score on the training rows",
    )
    check.add_argument(
        "--similarity",
        type=share,
        default=0.6,
        metavar="SHARE",
        help="near-duplicates from this similarity on (default: %(default)s)",
    )
    check.add_argument("--json", action="store_true", help="as JSON")
    check.set_defaults(command=_check)


def _add_looks(commands: Any) -> None:
    looks = commands.add_parser(
        "looks",
        help="list the recorded looks at test splits",
        description=(
            "List the recorded looks at test splits: who looked, when, for which run and why. "
            "Looks that a committed study declares are counted apart from those by hand, and "
            "its reproductions apart from both."
        ),
    )
    add_store(looks)
    looks.add_argument("--json", action="store_true", help="as JSON")
    looks.set_defaults(command=_looks)


def _compare(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.compare import compare_command

    return compare_command(parsed)


def _leaderboard(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.leaderboard import leaderboard_command

    return leaderboard_command(parsed)


def _submission(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.submission import submission_command

    return submission_command(parsed)


def _errors(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.errors import errors_command

    return errors_command(parsed)


def _check(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.check import check_command

    return check_command(parsed)


def _looks(parsed: argparse.Namespace) -> int:
    from sitrepbench.cli.looks import looks_command

    return looks_command(parsed)
