"""Trained models in MLflow: logged, registered, and fetched again as the folder that they are."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from sitrepbench.data.dataset import DOCUMENT_ID, POSITION, TEXT
from sitrepbench.errors import ConfigError, TrackingError
from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.connection import open_client, open_experiment, tracking_errors
from sitrepbench.tracking.content import run_metrics
from sitrepbench.tracking.entries import CONTENT_KEY, NOTE_TAG, RUN
from sitrepbench.tracking.log import summaries_of
from sitrepbench.tracking.mlflow_import import import_mlflow
from sitrepbench.tracking.settings import TrackingSettings
from sitrepbench.trained.folder import CARD_FILE, MANIFEST_FILE, REQUIREMENTS_FILE
from sitrepbench.trained.model import TrainedModel

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

#: The ``kind`` of the MLflow run that holds a trained model, and the model's name in it.
TRAINED, MODEL_NAME = "trained", "model"
#: The alias of the version that was registered last; ``latest`` is MLflow's own word.
NEWEST = "newest"
#: MLflow keeps this many characters of a tag or a description.
_MOST_NOTE = 7_500
#: What MLflow sets for the processes that a process starts.
_URI_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
#: MLflow's bars are for downloads of gigabytes.
_NO_BARS = ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
_URI = re.compile(r"(runs|models|mlflow-artifacts):/.+")
_NAME = re.compile(r"[^/:\s][^/:]{0,199}")


@dataclass(frozen=True)
class LoggedModel:
    """Where a trained model is in MLflow.

    Parameters
    ----------
    run_id : str
        The MLflow run that holds it.
    uri : str
        What ``mlflow.pyfunc.load_model`` takes.
    registered : str
        ``models:/NAME/VERSION``; empty where it was not registered.
    """

    run_id: str
    uri: str
    registered: str = ""


def is_mlflow_uri(text: str) -> bool:
    """Return whether a text names a model in MLflow rather than a folder.

    >>> is_mlflow_uri("models:/reports@newest"), is_mlflow_uri("models/reports")
    (True, False)
    """
    return _URI.fullmatch(text) is not None


def check_register(name: str) -> None:
    """Refuse a name that MLflow's registry does not take.

    Raises
    ------
    ConfigError
        When it is empty or holds a slash or a colon.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--register {name!r}: a name without slashes and colons is expected")


def log_trained(
    model: TrainedModel,
    record: RunRecord,
    settings: TrackingSettings,
    *,
    register: str = "",
    example: pd.DataFrame,
) -> LoggedModel:
    """Log a trained model's folder as an MLflow model, beside its evaluation run.

    Parameters
    ----------
    model : TrainedModel
        As `sitrepbench.trained.training.train` returns it.
    record : RunRecord
        Its evaluation.
    settings : TrackingSettings
        Where to.
    register : str
        The name of a registered model of which this becomes a version; empty for none.
    example : DataFrame
        An input that the model answers.

    Raises
    ------
    TrackingError
        When MLflow refuses; the folder is not touched by it.
    """
    if register:
        check_register(register)
    with tracking_errors(settings):
        connection = open_experiment(settings)
        mlflow = import_mlflow()
        tags = {
            "kind": TRAINED,
            CONTENT_KEY: record.key,
            "dataset_digest": model.manifest["dataset"]["digest"],
            "evaluation_run_id": _evaluation_run(connection, record.key),
        }
        card = _card(model, tags["evaluation_run_id"], connection.experiment_id)
        with pointed_at(settings.uri):
            with mlflow.start_run(
                experiment_id=connection.experiment_id,
                run_name=f"{model.name} (trained)"[:60],
                tags={**tags, NOTE_TAG: card},
            ) as run:
                mlflow.log_params(dict(record.names))
                # Before the metrics: MLflow asks for each metric that a run has by then.
                logged = _log_model(model, example, tags, card)
                summaries = summaries_of(record)
                mlflow.log_metrics(run_metrics(record, summaries))
            uri = str(logged.model_uri)
            found = _registered(uri, register, tags, card) if register else ""
        return LoggedModel(run.info.run_id, uri, found)


def _evaluation_run(connection: Any, key: str) -> str:
    runs = connection.client.search_runs(
        [connection.experiment_id], f"tags.kind = '{RUN}' and tags.{CONTENT_KEY} = '{key}'"
    )
    return str(runs[0].info.run_id) if runs else ""


def _card(model: TrainedModel, evaluation_run: str, experiment: str) -> str:
    """Return the card as MLflow shows it, with a link to the evaluation run."""
    text = (_folder(model) / CARD_FILE).read_text(encoding="utf-8")
    if evaluation_run:
        link = f"[evaluation run {model.key}](#/experiments/{experiment}/runs/{evaluation_run})"
        text = f"Scores and errors: {link}.\n\n{text}"
    return text if len(text) <= _MOST_NOTE else f"{text[:_MOST_NOTE]}\n\n... (see {CARD_FILE})"


def _folder(model: TrainedModel) -> Path:
    if model.folder is None:
        raise ConfigError(f"model {model.name!r} is not written to a folder yet")
    return model.folder


def _log_model(
    model: TrainedModel, example: pd.DataFrame, tags: Mapping[str, str], card: str
) -> Any:
    with quiet_pyfunc() as pyfunc:
        return pyfunc.log_model(
            name=MODEL_NAME,
            input_example=example,
            tags={name: value for name, value in {**tags, NOTE_TAG: card}.items() if value},
            metadata={"card": CARD_FILE, **tags},
            **_pyfunc(model, {"allow_pickle": False, "trust": []}),
        )


def save_pyfunc(model: TrainedModel, place: Path, *, rules: Mapping[str, Any]) -> None:
    """Write a trained model as an MLflow model of its own, loaded under the given rules."""
    with quiet_pyfunc() as pyfunc:
        pyfunc.save_model(path=str(place), **_pyfunc(model, rules))


@contextlib.contextmanager
def quiet_pyfunc() -> Iterator[Any]:
    """Yield ``mlflow.pyfunc``, which warns of its own type hints and tells every step."""
    import_mlflow()
    os.environ.setdefault(*_NO_BARS)
    logger = logging.getLogger("mlflow")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        logger.setLevel(logging.ERROR)
        try:
            yield mlflow.pyfunc
        finally:
            logger.setLevel(level)


def _pyfunc(model: TrainedModel, rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return what MLflow is told of a model, wherever it goes."""
    from sitrepbench.tracking.served import ARTIFACT

    folder = _folder(model)
    pins = (folder / REQUIREMENTS_FILE).read_text(encoding="utf-8").split()
    return {
        "python_model": str(Path(__file__).with_name("served_script.py")),
        "artifacts": {ARTIFACT: str(folder)},
        "signature": signature_of(model),
        # Inferring them starts a process and takes seconds.
        "pip_requirements": [*pins, f"mlflow=={version('mlflow')}"],
        "model_config": dict(rules),
    }


def signature_of(model: TrainedModel) -> ModelSignature:
    """Return the signature: ``text`` or a bare list of texts, what else is read, the answer."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    # What is optional is asked for by the model itself, in plainer words than MLflow's. A bare list
    # of texts becomes a column that is named by the number 0, which MLflow drops unless the
    # signature names it; it finds a name of 0 at the first place only.
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, cast(str, 0), required=False),
        ColSpec(DataType.string, TEXT, required=False),
        ColSpec(DataType.string, DOCUMENT_ID, required=False),
        ColSpec(DataType.long, POSITION, required=False),
    ]
    known = (TEXT, DOCUMENT_ID, POSITION)
    inputs += [
        ColSpec(DataType.string, name, required=False)
        for name in model.columns
        if name not in known
    ]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, "label")]
    if model.has_probabilities:
        outputs += [ColSpec(DataType.double, f"p_{label}") for label in model.labels]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _registered(uri: str, name: str, tags: Mapping[str, str], card: str) -> str:
    import mlflow

    client = mlflow.MlflowClient()
    # It tells its success to the terminal, which this program does itself.
    with contextlib.redirect_stderr(io.StringIO()):
        made = mlflow.register_model(uri, name, tags=dict(tags))
    client.update_model_version(name, made.version, description=card)
    client.set_registered_model_alias(name, NEWEST, made.version)
    return f"models:/{name}/{made.version}"


@contextlib.contextmanager
def pointed_at(uri: str) -> Iterator[None]:
    """Let MLflow's module functions, which know no client, mean one store."""
    mlflow = import_mlflow()
    os.environ.setdefault(*_NO_BARS)
    from mlflow.tracking._model_registry import utils as registry
    from mlflow.tracking._tracking_service import utils as tracking

    # Asked for by their variables: the functions give a default where nothing was set, and setting
    # that would send everything later to a database in the current folder.
    before = getattr(tracking, "_tracking_uri", None), getattr(registry, "_registry_uri", None)
    environment = {name: os.environ.get(name) for name in _URI_VARIABLES}
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def fetched_mlflow_model(uri: str, settings: TrackingSettings) -> Iterator[Path]:
    """Yield the local copy of a model in MLflow, whole, for as long as the block lasts.

    Nothing of it is run.

    Raises
    ------
    TrackingError
        When it cannot be fetched.
    """
    with tracking_errors(settings), tempfile.TemporaryDirectory(prefix="sitrepbench-") as folder:
        open_client(settings)
        with pointed_at(settings.uri):
            from mlflow.artifacts import download_artifacts

            try:
                found = Path(download_artifacts(artifact_uri=uri, dst_path=folder))
            except Exception as error:  # MLflow raises what its stores raise
                raise TrackingError(
                    f"{uri}: cannot be fetched from {settings.shown_uri}: {error}. Give the "
                    "store with --tracking-uri or --results-dir"
                ) from error
        yield found


@contextlib.contextmanager
def fetched_model(uri: str, settings: TrackingSettings) -> Iterator[Path]:
    """Yield the folder of a trained model that lies in MLflow, for `load_trained`.

    Raises
    ------
    TrackingError
        When it cannot be fetched.
    ConfigError
        When it is another model than those of this program: loading one may run any code.
    """
    with fetched_mlflow_model(uri, settings) as found:
        yield trained_folder(found, uri)


@contextlib.contextmanager
def model_folder(model: str, settings: TrackingSettings) -> Iterator[Path]:
    """Yield the folder of a model that is named by its folder or by an MLflow URI.

    Raises
    ------
    TrackingError, ConfigError
        As `fetched_model` does.
    """
    if not is_mlflow_uri(model):
        yield Path(model).expanduser()
        return
    with fetched_model(model, settings) as folder:
        yield folder


def trained_folder(mlflow_model: Path, uri: str) -> Path:
    """Return the folder of the trained model within a fetched MLflow model.

    Raises
    ------
    ConfigError
        When there is none.
    """
    from sitrepbench.tracking.served import ARTIFACT

    if (mlflow_model / MANIFEST_FILE).is_file():
        return mlflow_model
    # MLflow names the copy of a folder after the folder, not after the artifact.
    parts = sorted((mlflow_model / "artifacts").glob(f"*/{MANIFEST_FILE}"))
    if len(parts) != 1:
        raise ConfigError(
            f"{uri} is no model of 'sitrepbench train' ({ARTIFACT!r} is not among its artifacts). "
            "MLflow models of other makers are mostly pickle, which runs whatever code it holds "
            "when it is loaded; this program loads none of them."
        )
    return parts[0].parent
