"""The folder of a trained model: its files, and what is checked before any of them is believed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.errors import ConfigError, DataError

FORMAT = 1
MANIFEST_FILE = "model.json"
CARD_FILE = "card.md"
REQUIREMENTS_FILE = "requirements.txt"
EXAMPLE_FILE = "input_example.json"

#: The most bytes of a manifest, of a file, and the most files.
MOST_MANIFEST = 16 * 2**20
MOST_BYTES = 2 * 2**30
MOST_FILES = 64

#: How many files a message names.
_NAMED = 5

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_MOST_NAME = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REMEDIES = {
    "missing_file": "copy or fetch the whole folder again",
    "unreadable_file": "check that the path names a file that you may read",
    "checksum_mismatch": "the file is not the one that was written: fetch the model again, from "
    "somebody whom you trust",
    "path_escape": "a model names files in its own folder only; do not use this one",
    "invalid_json": "fetch the model again",
    "missing_field": "fetch the model again",
    "invalid_value": "fetch the model again",
    "unknown_format": "install the version of this program that the model was made with",
    "too_large": "this is no model of this program",
}
#: Field of the manifest, and the type of its value.
_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "labels": list,
    "columns": list,
    "reads_documents": bool,
    "has_probabilities": bool,
    "key": str,
    "serialization": str,
    "versions": dict,
    "files": dict,
    "calibrator": (dict, type(None)),
}


def report_on(folder: Path) -> ProblemReport:
    """Return an empty report about a model folder."""
    return ProblemReport(f"model {folder}", remedies=_REMEDIES)


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest of a model folder, and the bytes of its files, all checked.

    Nothing is deserialised but the manifest, which is JSON.

    Raises
    ------
    ConfigError
        When there is no such folder, or no model in it.
    DataError
        With everything that is wrong with it.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"no model at {folder}: expected the folder that 'sitrepbench train ... --output "
            f"{folder.name or 'FOLDER'}' writes, or an MLflow URI (runs:/..., models:/...)"
        )
    if not os.path.lexists(folder / MANIFEST_FILE):
        raise ConfigError(
            f"{folder} holds no {MANIFEST_FILE}, so it is no model that 'sitrepbench train' wrote"
        )
    report = report_on(folder)
    raw = _read(folder / MANIFEST_FILE, report, most=MOST_MANIFEST)
    report.raise_if_any()
    manifest = _manifest(raw or b"", report)
    report.raise_if_any()
    contents: dict[str, bytes] = {}
    for name, told in manifest["files"].items():
        data = _read(folder / name, report, most=MOST_BYTES)
        if data is None:
            continue
        digest = hashlib.sha256(data).hexdigest()
        if digest != told["sha256"]:
            message = f"{name}: sha256 is {digest[:12]}..., expected {told['sha256'][:12]}..."
            report.add("checksum_mismatch", message)
        contents[name] = data
    report.raise_if_any()
    return manifest, contents


def _read(path: Path, report: ProblemReport, *, most: int) -> bytes | None:
    """Return the bytes of a plain file, or add what is wrong; links are not followed."""
    try:
        found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        report.add("missing_file", f"{path.name} is missing")
        return None
    except OSError as error:
        if path.is_symlink():
            report.add("path_escape", f"{path.name} is a link; links are not followed")
        else:
            report.add("unreadable_file", f"{path.name}: {error.strerror}")
        return None
    with os.fdopen(found, "rb") as file:
        told = os.fstat(file.fileno())
        if not stat.S_ISREG(told.st_mode):
            report.add("unreadable_file", f"{path.name} is no plain file")
            return None
        if told.st_size > most:
            report.add("too_large", f"{path.name}: {told.st_size:,} bytes, at most {most:,}")
            return None
        return file.read(most)


def _manifest(raw: bytes, report: ProblemReport) -> dict[str, Any]:
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError) as error:
        report.add("invalid_json", f"{MANIFEST_FILE}: {error}")
        return {}
    if not isinstance(manifest, dict):
        report.add("invalid_json", f"{MANIFEST_FILE}: expected an object")
        return {}
    found = manifest.get("format")
    if found != FORMAT or isinstance(found, bool):
        message = (
            f"{MANIFEST_FILE} has format {shown(found)}, this version reads {FORMAT}; it was "
            f"written by version {shown(manifest.get('sitrepbench'))}"
        )
        report.add("unknown_format", message)
        return {}
    for name, kind in _FIELDS.items():
        if name not in manifest:
            report.add("missing_field", f"{MANIFEST_FILE}: no {name!r}")
        elif not isinstance(manifest[name], kind):
            message = f"{MANIFEST_FILE}: {name} is {shown(manifest[name])}"
            report.add("invalid_value", message)
    report.raise_if_any()
    if not manifest["name"].isprintable() or len(manifest["name"]) > _MOST_NAME:
        # It is shown on terminals.
        report.add("invalid_value", f"{MANIFEST_FILE}: name is {shown(manifest['name'])}")
    if not all(name and isinstance(told, str) for name, told in manifest["versions"].items()):
        report.add("invalid_value", f"{MANIFEST_FILE}: versions are texts by name")
    for name in ("labels", "columns"):
        if not all(isinstance(value, str) and value for value in manifest[name]):
            report.add("invalid_value", f"{MANIFEST_FILE}: {name} are texts")
    if len(manifest["labels"]) < 1 or len(set(map(str, manifest["labels"]))) != len(
        manifest["labels"]
    ):
        report.add("invalid_value", f"{MANIFEST_FILE}: labels are one or more, each once")
    _check_files(manifest["files"], report)
    return manifest


def _check_files(files: dict[str, Any], report: ProblemReport) -> None:
    if len(files) > MOST_FILES:
        report.add("too_large", f"{len(files):,} files, at most {MOST_FILES}")
        return
    for name, told in files.items():
        if not _FILE_NAME.fullmatch(name) or name == MANIFEST_FILE:
            report.add("path_escape", f"{shown(name)} is no plain name of a file")
        elif not isinstance(told, dict) or not _SHA256.fullmatch(str(told.get("sha256"))):
            report.add("invalid_value", f"{MANIFEST_FILE}: no sha256 of {name}")


def write_folder(
    folder: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes], *, replace: bool
) -> None:
    """Write a model folder: beside, synced, and renamed into place.

    Parameters
    ----------
    folder : Path
        Where to; its parents are made.
    manifest : mapping
        All but ``format`` and ``files``, which are added.
    files : mapping of str to bytes
        By name.
    replace : bool
        Whether a model that lies there is replaced; what is no model never is.

    Raises
    ------
    ConfigError
        When something is in the way.
    DataError
        When it cannot be written.
    """
    check_output(folder, replace=replace)
    # "." has no name to put another folder beside.
    folder = folder.absolute() if folder.is_symlink() else folder.resolve()
    told = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
    }
    whole = {"format": FORMAT, **manifest, "files": told}
    text = json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    written = {**files, MANIFEST_FILE: text.encode("utf-8")}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for name, data in written.items():
                with (beside / name).open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            beside.chmod(0o777 & ~_umask())
            _into_place(beside, folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{folder}: the model cannot be written: {error}") from error


def check_output(folder: Path, *, replace: bool) -> None:
    """Refuse a place where a model cannot be written, before anything is computed.

    Raises
    ------
    ConfigError
        When something is in the way.
    """
    place = folder.resolve().parent
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"--output {folder}: nothing can be written in {place}")
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise ConfigError(f"--output {folder}: there is a file or a link; give another folder")
    if not any(folder.iterdir()):
        return
    if not (folder / MANIFEST_FILE).is_file():
        raise ConfigError(
            f"--output {folder}: the folder holds other files; give one that is new or empty"
        )
    if not replace:
        raise ConfigError(
            f"--output {folder}: there is a model already; give another folder, or --overwrite"
        )
    others = sorted({path.name for path in folder.iterdir()} - _own_files(folder))
    if others:
        raise ConfigError(
            f"--output {folder}: beside the model there are other files, which --overwrite would "
            f"remove: {', '.join(map(shown, others[:_NAMED]))}; move them away"
        )


def _own_files(folder: Path) -> set[str]:
    """Return the names of the files that a model's manifest lists; none where it is none."""
    report = report_on(folder)
    try:
        raw = _read(folder / MANIFEST_FILE, report, most=MOST_MANIFEST)
        manifest = _manifest(raw or b"", report)
        report.raise_if_any()
    except DataError:
        return set()
    return {MANIFEST_FILE, *manifest["files"]}


def _into_place(beside: Path, folder: Path) -> None:
    if not folder.exists():
        beside.rename(folder)
        return
    # A folder cannot be renamed over one that holds files: the old one steps aside first.
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.rename(aside / folder.name)
    try:
        beside.rename(folder)
    except OSError:
        (aside / folder.name).rename(folder)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _umask() -> int:
    found = os.umask(0o077)
    os.umask(found)
    return found
