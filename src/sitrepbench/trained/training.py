"""From a run and its record to the folder of a trained model."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from sitrepbench import __version__
from sitrepbench.config.key import ABSENT
from sitrepbench.data.card import load_card
from sitrepbench.data.dataset import DOCUMENT_ID, LABEL, POSITION, TEXT
from sitrepbench.data.shipped import shipped_card, shipped_names
from sitrepbench.errors import ConfigError, SitrepBenchError
from sitrepbench.fitting import Tuned
from sitrepbench.metrics.calibration import calibration_of
from sitrepbench.metrics.summary import Summary
from sitrepbench.preparing import PreparedRun
from sitrepbench.store.record import RunRecord
from sitrepbench.told import summarise_parts
from sitrepbench.trained.card import CardFacts, card_text
from sitrepbench.trained.encoders import encoders_named, libraries_of, settle_encoders
from sitrepbench.trained.fitting import FittedOnAll, fit_on_all
from sitrepbench.trained.folder import (
    CARD_FILE,
    EXAMPLE_FILE,
    REQUIREMENTS_FILE,
    write_folder,
)
from sitrepbench.trained.loading import CARRIED, KEPT_AS
from sitrepbench.trained.model import TrainedModel
from sitrepbench.trained.parts import columns_read, lexicon_parts, reads_documents
from sitrepbench.trained.serialised import check_names, to_pickle, to_skops

#: The libraries that decide what any loaded model answers; others are those that a run's key counts
#: and that its networks are computed with.
DECIDING = ("sitrepbench", "scikit-learn", "numpy", "scipy", "pandas", "skops", "pyyaml")
#: Sentences of the input example: invented, so that no training text leaves with a model.
EXAMPLE = (
    "At least nine people were killed when a shell hit the bakery, a doctor said.",
    "The army denied that its aircraft had been over the town that night.",
    "Buses took some two hundred families out of the old quarter on Friday.",
)


@dataclass(frozen=True)
class Order:
    """What is asked for of a training.

    Parameters
    ----------
    output : Path
        The folder to write.
    name : str
        What the model is called; empty for the run's name.
    command : str
        The command line, for the card.
    allow_pickle : bool
        Whether a model that skops cannot save is kept as pickle.
    trust : tuple of str
        Types to trust beyond the list.
    overwrite : bool
        Whether a model that lies there is replaced.
    """

    output: Path
    name: str = ""
    command: str = ""
    allow_pickle: bool = False
    trust: tuple[str, ...] = ()
    overwrite: bool = False


def train(
    prepared: PreparedRun,
    record: RunRecord,
    order: Order,
    *,
    on_trial: Callable[[int, int | None], None] | None = None,
) -> TrainedModel:
    """Fit the configuration of a run on all its training rows, and write the model's folder.

    Parameters
    ----------
    prepared : PreparedRun
        The run's data and pipeline.
    record : RunRecord
        What its evaluation came to, for the card.
    order : Order
        What is asked for.
    on_trial : callable or None
        Told after each trial of a tuner.

    Returns
    -------
    TrainedModel
        As it was fitted; with `folder` and `manifest` of what was written.

    Raises
    ------
    SitrepBenchError
        When there is nothing to train on, the fit fails, or the model cannot be kept.
    """
    check_names(order.trust)
    tuning = prepared.tuning
    executor = prepared.config.build("executor")
    fitted: FittedOnAll = executor.call(
        lambda: fit_on_all(
            prepared.plan,
            prepared.pipeline,
            seed=prepared.config.seed,
            tuned=Tuned(tuning) if tuning is not None and tuning.changes else None,
            calibrator=prepared.calibrator,
            on_trial=on_trial,
        )
    )
    settle_encoders(fitted.pipeline)
    model = _model(prepared, record, fitted, order.name or record.run_name)
    kept_as, files = _kept(model.pipeline, order)
    manifest = _manifest(model, record, fitted, kept_as)
    manifest["versions"] = versions_of(prepared, model.pipeline)
    files |= _papers(prepared, record, fitted, model, order, manifest)
    write_folder(order.output, manifest, files, replace=order.overwrite)
    return replace(model, folder=order.output, manifest=manifest)


def _model(
    prepared: PreparedRun, record: RunRecord, fitted: FittedOnAll, name: str
) -> TrainedModel:
    model = TrainedModel(
        name=name,
        labels=prepared.plan.training.labels,
        pipeline=fitted.pipeline,
        calibrator=fitted.calibrator,
        reads_documents=reads_documents(fitted.pipeline),
        columns=columns_read(fitted.pipeline, [str(name) for name in fitted.shown.columns]),
        key=record.key,
    )
    # Asked, not guessed: it must answer before it is handed over.
    _, probabilities = model.answer(fitted.shown.head(50))
    return replace(model, has_probabilities=bool(np.isfinite(probabilities).all()))


def _kept(pipeline: Pipeline, order: Order) -> tuple[str, dict[str, bytes]]:
    """Return how the pipeline is kept, and the files that hold it."""
    with _carried(pipeline) as files:
        try:
            kept_as, data = "skops", to_skops(pipeline, trust=order.trust)
        except SitrepBenchError:
            if not order.allow_pickle:
                raise
            kept_as, data = "pickle", to_pickle(pipeline)
        return kept_as, {KEPT_AS[kept_as]: data, **files}


@contextmanager
def _carried(pipeline: Pipeline) -> Iterator[dict[str, bytes]]:
    """Let a user's files of words be named by where they lie in the folder, for the time of saving.

    A path of this machine would be read, or not be there, wherever the model is loaded.
    """
    before: list[tuple[Any, str]] = []
    files: dict[str, bytes] = {}
    try:
        for part, shipped in lexicon_parts(pipeline):
            path = part.lexicon
            if (shipped / f"{path}.yaml").is_file():
                continue
            data = Path(path).expanduser().read_bytes()
            name = f"words-{hashlib.sha256(data).hexdigest()[:12]}.yaml"
            files[name] = data
            before.append((part, path))
            part.lexicon = f"{CARRIED}{name}"
        yield files
    except OSError as error:
        raise ConfigError(f"a file of words cannot be read any more: {error}") from error
    finally:
        for part, path in before:
            part.lexicon = path


def _manifest(
    model: TrainedModel, record: RunRecord, fitted: FittedOnAll, kept_as: str
) -> dict[str, Any]:
    chosen = fitted.chosen
    return {
        "sitrepbench": __version__,
        "name": model.name,
        "labels": list(model.labels),
        "columns": list(model.columns),
        "reads_documents": model.reads_documents,
        "has_probabilities": model.has_probabilities,
        "key": record.key,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "serialization": kept_as,
        "python": record.environment["python"],
        "dataset": trained_on(record),
        "n_rows": len(fitted.rows),
        "settings": {} if chosen is None else dict(chosen.settings),
        # JSON has no NaN, which a score may be where a part has a single document.
        "scores": {
            part: {name: value for name, value in scores.items() if math.isfinite(value)}
            for part, scores in record.scores.items()
        },
        "names": dict(record.names),
        "overrides": list(record.overrides),
        "calibrator": None if model.calibrator is None else model.calibrator.to_dict(),
    }


def versions_of(prepared: PreparedRun, pipeline: Pipeline) -> dict[str, str]:
    """Return the libraries that decide what a model answers, with their versions."""
    always = {name: version(name) for name in DECIDING}
    counted = prepared.parts["versions"].items()
    others = {name: found for name, found in counted if found != ABSENT}
    others |= libraries_of(pipeline)
    return always | {name: others[name] for name in sorted(others)}


def trained_on(record: RunRecord) -> Mapping[str, Any]:
    """Return what a record says of the dataset that was trained on."""
    found: Mapping[str, Any] = record.dataset.get("trained_on", record.dataset)
    return found


def _papers(
    prepared: PreparedRun,
    record: RunRecord,
    fitted: FittedOnAll,
    model: TrainedModel,
    order: Order,
    manifest: Mapping[str, Any],
) -> dict[str, bytes]:
    """Return what goes with a model for people and for installers."""
    # A build's own mark, as in 2.13.0+cpu, is not known to every index; without it all builds do.
    pins = "".join(
        f"{name}=={pinned.partition('+')[0]}\n" for name, pinned in manifest["versions"].items()
    )
    facts = _facts(prepared, record, fitted, model, order, manifest)
    example = example_of(model).to_dict(orient="list")
    return {
        CARD_FILE: card_text(facts).encode("utf-8"),
        REQUIREMENTS_FILE: pins.encode(),
        EXAMPLE_FILE: (json.dumps(example, indent=2) + "\n").encode(),
    }


def example_of(model: TrainedModel) -> pd.DataFrame:
    """Return a table that the model answers: invented sentences of one document."""
    frame = pd.DataFrame({TEXT: list(EXAMPLE)})
    if model.reads_documents:
        frame[DOCUMENT_ID] = "example"
        frame[POSITION] = np.arange(len(frame))
    return frame


def _facts(
    prepared: PreparedRun,
    record: RunRecord,
    fitted: FittedOnAll,
    model: TrainedModel,
    order: Order,
    manifest: Mapping[str, Any],
) -> CardFacts:
    training = prepared.plan.training
    rows = training.frame.iloc[fitted.rows]
    counts = rows[LABEL].value_counts()
    predictions = record.predictions()
    summaries: dict[str, Summary] = summarise_parts(predictions)
    found = {part: calibration_of(predictions.part(part)) for part in summaries}
    names = record.names
    about = {"model": names["model"]}
    if record.key_parts["config"]["features"] is not None:
        about["features"] = names["features"]
    about |= {group: names[group] for group in ("tuner", "calibrator", "protocol")}
    return CardFacts(
        name=model.name,
        key=record.key,
        command=order.command,
        created=manifest["created"],
        about=about,
        sources=list(_sources(record.config)),
        data={**trained_on(record), **_licence(record.config, training.name)},
        labels={label: int(counts.get(label, 0)) for label in training.labels},
        n_rows=len(rows),
        n_documents=int(rows[DOCUMENT_ID].nunique()),
        n_evaluated=max(len(cell.train) for cell in prepared.plan.cells),
        summaries=summaries,
        calibrations={part: one for part, one in found.items() if one is not None},
        looks=record.looks,
        settings=manifest["settings"],
        calibrator={} if fitted.calibrator is None else fitted.calibrator.told,
        versions={"python": manifest["python"], **manifest["versions"]},
        reads=[TEXT, *model.columns],
        reads_documents=model.reads_documents,
        kept_as=manifest["serialization"],
        notes=_notes(record.notes, fitted),
        encoders=encoders_named(model.pipeline),
    )


def _notes(told: Sequence[str], fitted: FittedOnAll) -> list[str]:
    chosen = () if fitted.chosen is None else fitted.chosen.notes
    return list(dict.fromkeys([*told, *chosen, *fitted.notes]))


def _sources(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the model and its features go back to, as their configuration says."""
    for group in ("model", "features"):
        about = config[group].get("_about_") or {}
        if about.get("source"):
            yield f"{group}: {about['source']}"


def _licence(config: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return what the dataset's card says of its use; nothing where it has none."""
    given = config["dataset"].get("card_path")
    if given is None and name not in shipped_names():
        return {}
    card = load_card(Path(given) if given is not None else shipped_card(name))
    named = ("language", "licence", "attribution", "citation")
    return {field: str(text) for field in named if (text := getattr(card, field))}
