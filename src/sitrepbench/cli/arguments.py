"""What the parsers of several commands share: options, and types that tell what they expect."""

from __future__ import annotations

import argparse
import math


def port(text: str) -> int:
    """Return a port of this machine."""
    value = int(text)
    if not 1 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text}: a port from 1 to 65535 is expected")
    return value


def count(text: str) -> int:
    """Return a whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: a whole number from 1 is expected")
    return value


def days(text: str) -> float:
    """Return a number of days from 0."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: a number of days from 0 is expected")
    return value


def share(text: str) -> float:
    """Return a number over 0 and up to 1."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: a number over 0 and up to 1 is expected")
    return value


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the option that tells the results store."""
    parser.add_argument(
        "--results-dir",
        default="results",
        metavar="DIR",
        help="the results store (default: %(default)s)",
    )


def add_config_dir(parser: argparse.ArgumentParser) -> None:
    """Add the option that tells a folder of the user's own configs."""
    parser.add_argument(
        "-cd", "--config-dir", metavar="DIR", help="a folder of your own config groups and studies"
    )
