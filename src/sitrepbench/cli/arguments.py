"""What the parsers of several commands share: options, and types that tell what they expect."""

from __future__ import annotations

import argparse
import math

#: Names of standard output. As a file, what it leads to would be replaced, and `>>` lose its rows.
_STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def port(text: str) -> int:
    """Return a port of this machine."""
    value = _whole(text)
    if value is None or not 1 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text}: a port from 1 to 65535 is expected")
    return value


def count(text: str) -> int:
    """Return a whole number from 1."""
    value = _whole(text)
    if value is None or value < 1:
        raise argparse.ArgumentTypeError(f"{text}: a whole number from 1 is expected")
    return value


def _whole(text: str) -> int | None:
    """Return a whole number, None where it is none: argparse would tell a function's name."""
    try:
        return int(text)
    except ValueError:
        return None


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


def output_name(text: str) -> str:
    """Return the name of an output; ``-`` for every name of standard output.

    >>> output_name("labelled.csv"), output_name("/dev/stdout")
    ('labelled.csv', '-')
    """
    return "-" if text in _STANDARD_OUTPUT else text


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the option that tells the results store."""
    parser.add_argument(
        "--results-dir",
        default="results",
        metavar="DIR",
        help="the results store (default: %(default)s)",
    )


def add_encoder(parser: argparse.ArgumentParser) -> None:
    """Add the option that tells where the encoder of a model lies."""
    parser.add_argument(
        "--encoder",
        metavar="FOLDER",
        help="where the encoder lies that the model reads: a folder, or a name on the Hugging "
        "Face hub; its files must be those of the training",
    )


def add_config_dir(parser: argparse.ArgumentParser) -> None:
    """Add the option that tells a folder of the user's own configs."""
    parser.add_argument(
        "-cd", "--config-dir", metavar="DIR", help="a folder of your own config groups and studies"
    )
