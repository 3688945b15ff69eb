"""Loading a trained model: nothing runs that the caller has not allowed."""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.sparse import issparse
from sklearn.pipeline import Pipeline

from sitrepbench.calibration.fitted import Fitted
from sitrepbench.errors import DataError
from sitrepbench.trained.encoders import bring_encoders
from sitrepbench.trained.folder import read_folder
from sitrepbench.trained.model import TrainedModel
from sitrepbench.trained.parts import lexicon_parts, parts_of
from sitrepbench.trained.serialised import PICKLE_FILE, SKOPS_FILE, from_pickle, from_skops

#: What a part's ``lexicon`` begins with where the file lies in the model's folder.
CARRIED = "model-file:"
#: How a pipeline is kept, and the file that holds it.
KEPT_AS = {"skops": SKOPS_FILE, "pickle": PICKLE_FILE}


def load_trained(
    path: str | Path,
    *,
    allow_pickle: bool = False,
    trust: Sequence[str] = (),
    encoder: str | None = None,
) -> TrainedModel:
    """Load the model of a folder that ``sitrepbench train`` wrote.

    Every file is compared with its sha256 before any is deserialised. A skops file is refused if
    it names a type that is neither scikit-learn's own, nor in `sitrepbench.trained.trusted`, nor
    in ``trust``. The checksums lie in the folder itself: they tell damage, not who wrote it.

    Parameters
    ----------
    path : str or Path
        The folder.
    allow_pickle : bool
        Whether a model kept as pickle is loaded. Loading it runs whatever code it holds.
    trust : sequence of str
        Types to trust beyond that, as ``module.Class``. Their modules are imported.
    encoder : str, optional
        Where the encoder of a model lies that reads one, a folder or a name on the Hugging Face
        hub; its files must be those of the training. Not needed for the packaged one.

    Raises
    ------
    ConfigError
        When there is no model, or what it needs is absent: a library, its encoder.
    DataError
        When it is damaged, of another format, or asks for more trust than it is given, or its
        encoder is another one.
    """
    folder = Path(path).expanduser()
    manifest, contents = read_folder(folder)
    pipeline = _pipeline(folder, manifest, contents, allow_pickle=allow_pickle, trust=trust)
    labels = tuple(manifest["labels"])
    _check_pipeline(folder, pipeline, labels)
    _bring_lexicons(folder, pipeline, contents)
    # Who loads a pickle lets it run code: there is nothing left to refuse it.
    given = None if manifest["serialization"] == "pickle" else trust
    bring_encoders(folder, pipeline, encoder=encoder, trust=given)
    calibrator = None
    if manifest["calibrator"] is not None:
        try:
            calibrator = Fitted.from_dict(manifest["calibrator"], n_labels=len(labels))
        except DataError as error:
            raise DataError(f"model {folder}: model.json, calibrator: {error}") from error
    return TrainedModel(
        name=manifest["name"],
        labels=labels,
        pipeline=pipeline,
        calibrator=calibrator,
        has_probabilities=manifest["has_probabilities"],
        reads_documents=manifest["reads_documents"],
        columns=tuple(manifest["columns"]),
        key=manifest["key"],
        folder=folder,
        manifest=manifest,
        notes=tuple(_other_versions(manifest["versions"])),
    )


def _pipeline(
    folder: Path,
    manifest: Mapping[str, Any],
    contents: Mapping[str, bytes],
    *,
    allow_pickle: bool,
    trust: Sequence[str],
) -> Pipeline:
    kept_as = manifest["serialization"]
    if kept_as not in KEPT_AS:
        raise DataError(
            f"model {folder}: model.json, serialization: found {kept_as!r}, expected "
            f"{' or '.join(KEPT_AS)}"
        )
    file = KEPT_AS[kept_as]
    if file not in contents:
        raise DataError(f"model {folder}: model.json does not list {file}")
    if kept_as == "pickle" and not allow_pickle:
        raise DataError(
            f"model {folder} is kept as pickle ({file}). Loading a pickle runs whatever code it "
            "holds, with your rights; nothing was loaded. If you know who made it, give "
            "--allow-pickle (in Python: allow_pickle=True)."
        )
    where = str(folder / file)
    if kept_as == "pickle":
        pipeline = from_pickle(contents[file], where=where)
    else:
        pipeline = from_skops(contents[file], trust=trust, where=where)
    if not isinstance(pipeline, Pipeline):
        raise DataError(f"{where} holds a {type(pipeline).__name__}, expected a Pipeline")
    return pipeline


def _check_pipeline(folder: Path, pipeline: Pipeline, labels: Sequence[str]) -> None:
    """Refuse a pipeline that is put together as no fit would: attributes are the file's choice."""
    try:
        # Compiled code follows the indices of a sparse matrix unchecked.
        for part in parts_of(pipeline):
            if issparse(part):
                part.check_format(full_check=True)
        model = [step for _, step in pipeline.steps][-1]
        known = {str(name) for name in getattr(model, "classes_", labels)}
    except Exception as error:  # whatever an attribute of a wrong type leads to
        raise DataError(
            f"model {folder}: its pipeline is not as it was fitted: {type(error).__name__}: {error}"
        ) from error
    foreign = sorted(known - set(labels))
    if foreign:
        raise DataError(f"model {folder}: it answers label(s) it does not declare: {foreign}")


def _bring_lexicons(folder: Path, pipeline: Pipeline, contents: Mapping[str, bytes]) -> None:
    """Let every part find its file of words: shipped under its name, or in the model's folder.

    A part that names any other path is refused: a model could have this machine's files read.
    """
    place: Path | None = None
    for part, shipped in lexicon_parts(pipeline):
        name = part.lexicon
        if not isinstance(name, str):
            raise DataError(f"model {folder}: {type(part).__name__} names no file of words")
        if name.startswith(CARRIED):
            file = name.removeprefix(CARRIED)
            if file not in contents:
                raise DataError(f"model {folder}: model.json does not list {file}")
            if place is None:
                # What was checked is what is read later, whatever becomes of the folder.
                place = Path(tempfile.mkdtemp(prefix="sitrepbench-model-"))
                weakref.finalize(pipeline, shutil.rmtree, str(place), ignore_errors=True)
            copy = place / file
            copy.write_bytes(contents[file])
            part.lexicon = str(copy)
        elif name not in {found.stem for found in shipped.glob("*.yaml")}:
            raise DataError(
                f"model {folder}: {type(part).__name__} names the file {name!r}, which is "
                "neither shipped nor in the model's folder"
            )


def _other_versions(told: Mapping[str, Any]) -> list[str]:
    """Return one line where what decides predictions has another version than at training."""
    found = {}
    for name, version in told.items():
        try:
            here = importlib.metadata.version(name)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            here = "none"
        if here != version:
            found[name] = f"{name} {version} (here {here})"
    if not found:
        return []
    listed = ", ".join(found.values())
    return [f"the model was trained with {listed}; its answers may differ"]
