"""Pipelines as bytes: skops, whose types are checked before anything is built, or pickle."""

from __future__ import annotations

import contextlib
import gc
import io
import pickle
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import skops.io
from skops.io.exceptions import (
    UNTRUSTED_TYPE_REASONS,
    UnsupportedTypeException,
    UntrustedTypesFoundException,
)

from sitrepbench.errors import ConfigError, DataError, ModelError
from sitrepbench.trained.trusted import TRUSTED

SKOPS_FILE, PICKLE_FILE = "model.skops", "model.pkl"
#: The most bytes that the members of a skops file may unpack to, and the most members.
MOST_UNPACKED = 4 * 2**30
MOST_MEMBERS = 100_000
#: The most bytes of the schema, of which Python's objects take about ten times as many.
MOST_SCHEMA = 2**30

#: How many types a message names.
_NAMED = 20
_TREES = "indices that compiled code follows unchecked: a crafted file can crash the process"
_TYPE_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def to_skops(pipeline: Any, *, trust: Sequence[str] = ()) -> bytes:
    """Return a fitted pipeline in the skops format, having checked that it can be read again.

    Raises
    ------
    ModelError
        When it holds what skops cannot save, or a type that loading would refuse.
    """
    check_names(trust)
    # A vocabulary is many small values: packed, it is a tenth of the size.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = skops.io.dumps(pipeline, compression=zipfile.ZIP_DEFLATED, compresslevel=6)
            unknown = sorted(
                set(skops.io.get_untrusted_types(data=data)) - TRUSTED - set(map(str, trust))
            )
    except (UnsupportedTypeException, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"the model cannot be saved by skops: {type(error).__name__}: {error}. With "
            "--allow-pickle it is saved as pickle, which runs code when it is loaded."
        ) from error
    if unknown:
        named = " ".join(f"--trust {name}" for name in unknown)
        raise ModelError(
            f"the model is made of types that are not trusted:\n{_listed(unknown)}\nIf you "
            f"trust them, give {named} here and wherever the model is loaded."
        )
    return bytes(data)


def from_skops(data: bytes, *, trust: Sequence[str] = (), where: str) -> Any:
    """Return the pipeline of skops bytes, building nothing before all types are checked.

    Raises
    ------
    DataError
        When the bytes are damaged, too large, or name a type that is not trusted.
    """
    check_names(trust)
    schema = _checked_schema(data, where)
    # skops goes through the whole list at every node: only what is named at all is given.
    named = [name for name in {*TRUSTED, *trust} if name.rpartition(".")[2].encode() in schema]
    try:
        with warnings.catch_warnings(), _uncollected():
            # Other versions are told by `load_trained`, once and with what to do.
            warnings.simplefilter("ignore")
            return skops.io.loads(data, trusted=sorted(named))
    except UntrustedTypesFoundException as error:
        asked = set(skops.io.get_untrusted_types(data=data))
        names = sorted(asked - TRUSTED - set(map(str, trust)))
        raise DataError(
            f"{where}: refused, nothing was loaded. It names {len(names)} type(s) that are not "
            f"trusted:\n{_listed(names)}\nLoading them may run code or worse. If you know who "
            "made the model, allow each with --trust MODULE.CLASS (in Python: trust=[...])."
        ) from error
    except RecursionError as error:
        raise DataError(f"{where}: nested too deeply; it is no model of this program") from error
    except Exception as error:  # a damaged or hostile file fails in any way it likes
        raise DataError(
            f"{where}: not a readable skops file: {type(error).__name__}: {error}"
        ) from error


def _listed(names: Sequence[str]) -> str:
    """Return one line per type, with what skops knows against it."""
    lines = []
    for name in names[:_NAMED]:
        reason = UNTRUSTED_TYPE_REASONS.get(name)
        lines.append(f"  {name}" if reason is None else f"  {name}: {_TREES}")
    if len(names) > _NAMED:
        lines.append(f"  and {len(names) - _NAMED:,} more")
    return "\n".join(lines)


def to_pickle(pipeline: Any) -> bytes:
    """Return a fitted pipeline as pickle.

    Raises
    ------
    ModelError
        When it cannot be pickled.
    """
    try:
        return pickle.dumps(pipeline, protocol=5)
    except Exception as error:  # a model is anybody's code
        raise ModelError(
            f"the model cannot be pickled either: {type(error).__name__}: {error}. Functions "
            "must stand at the top of a module."
        ) from error


def from_pickle(data: bytes, *, where: str) -> Any:
    """Return the pipeline of a pickle, which runs whatever code the pickle says.

    Raises
    ------
    DataError
        When it cannot be read.
    """
    try:
        return pickle.loads(data)
    except Exception as error:
        raise DataError(
            f"{where}: not a readable pickle: {type(error).__name__}: {error}"
        ) from error


def check_names(trust: Sequence[str]) -> None:
    """Refuse what is no name of a type.

    Raises
    ------
    ConfigError
        With every name that is none.
    """
    wrong = [str(name) for name in trust if not _TYPE_NAME.fullmatch(str(name))]
    if wrong:
        raise ConfigError(f"--trust {', '.join(wrong)}: expected MODULE.CLASS, such as mine.Model")


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector from looking through a vocabulary again and again while it grows."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _checked_schema(data: bytes, where: str) -> bytes:
    """Return the schema of a skops archive that is of a sane size."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            # Sparse matrices are archives within the archive.
            for member in members:
                if member.filename.endswith(".npz") and unpacked <= MOST_UNPACKED:
                    with zipfile.ZipFile(io.BytesIO(archive.read(member))) as inner:
                        unpacked += sum(part.file_size for part in inner.infolist())
            if unpacked > MOST_UNPACKED or len(members) > MOST_MEMBERS:
                raise DataError(
                    f"{where}: {len(members):,} members that unpack to {unpacked:,} bytes; at "
                    f"most {MOST_MEMBERS:,} and {MOST_UNPACKED:,} are read"
                )
            schema = archive.getinfo("schema.json").file_size
            if schema > MOST_SCHEMA:
                raise DataError(
                    f"{where}: a schema of {schema:,} bytes; at most {MOST_SCHEMA:,} are read"
                )
            # zipfile reads no more of a member than its header tells.
            return archive.read("schema.json")
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError) as error:
        raise DataError(f"{where}: not a readable skops file: {error}") from error
    except (NotImplementedError, RuntimeError) as error:
        raise DataError(f"{where}: packed in a way that is not read: {error}") from error
