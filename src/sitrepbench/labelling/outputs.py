"""Where labelled rows go: a file that is there whole or not at all, or standard output."""

from __future__ import annotations

import contextlib
import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sitrepbench.errors import ConfigError, DataError
from sitrepbench.labelling.sources import STANDARD


def check_output(name: str, source: str) -> None:
    """Check that an output can be written, before anything is read.

    Raises
    ------
    ConfigError
        When its folder is absent, or it is a folder or the input itself.
    """
    if name == STANDARD:
        return
    path = Path(name)
    if path.is_dir():
        raise ConfigError(f"--output {name}: is a folder, expected a file")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--output {name}: there is no folder {path.parent}; make it first")
    if source != STANDARD and path.is_file() and Path(source).exists() and path.samefile(source):
        raise ConfigError(f"--output {name}: is the input itself; give it another name")


@contextmanager
def output(name: str) -> Iterator[IO[bytes]]:
    """Open an output for the time of a ``with`` block; a file takes its place at the end only.

    Whatever goes wrong inside leaves no file, and one that was there as it was. With a name that
    ends in ``.gz`` it is compressed.

    Raises
    ------
    DataError
        When it cannot be written, such as on a full disk.
    """
    if name == STANDARD:
        try:
            with _told("standard output"):
                yield sys.stdout.buffer
                sys.stdout.buffer.flush()
        except DataError:
            # What waits in the buffer would fail again when the program ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise
        return
    # Where a link points to is what is replaced.
    path = Path(name).resolve()
    if path.exists() and not path.is_file():
        # A pipe or a device cannot be replaced.
        with _told(name), path.open("wb") as stream:
            yield stream
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with _told(name), contextlib.ExitStack() as opened:
            stream = opened.enter_context(beside.open("wb"))
            if path.suffix.casefold() == ".gz":
                packed = gzip.GzipFile("", "wb", 6, fileobj=stream, mtime=0)
                opened.enter_context(packed)
                yield packed  # type: ignore[misc]
            else:
                yield stream
        with _told(name):
            beside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"{name}: cannot be written: {error}") from error
