"""Small trained models on disk, as `sitrepbench train` writes them, and the command to use them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from sitrepbench.cli import main
from sitrepbench.features.context import Context
from sitrepbench.models.pipeline import bound_to_columns, build_pipeline
from sitrepbench.trained.folder import write_folder
from sitrepbench.trained.parts import columns_read, reads_documents
from sitrepbench.trained.serialised import to_pickle, to_skops

SENTENCES = {
    "casualty_report": ("Nine people were killed.", "Two soldiers died of wounds.", "Many dead."),
    "denial": ("The army denied it.", "He rejected the claim as baseless.", "They denied that."),
    "evacuation": ("Buses took families out.", "Residents left on foot.", "Families were moved."),
    "background": ("The road was built in spring.", "Snow fell all day.", "Shops were shut."),
}


def training_frame() -> pd.DataFrame:
    """Return sentences of which some mean something by what stands before them only."""
    rows = [
        {"document_id": f"d{number}", "position": position, "text": text, "label": label}
        for label, texts in SENTENCES.items()
        for number, text in enumerate(texts)
        for position in (list(SENTENCES).index(label),)
    ]
    frame = pd.DataFrame(rows).astype({"text": object, "document_id": object})
    frame["sentence_id"], frame["domain"] = frame.index.astype(str), ""
    return frame


def save(folder: Path, pipeline: Pipeline, *, probabilities: bool, pickled: bool = False) -> Path:
    """Fit a pipeline on the sentences, and write it as a model's folder."""
    frame = training_frame()
    pipeline.fit(frame.drop(columns="label"), frame["label"].to_numpy(dtype=object))
    manifest = {
        "name": folder.name,
        "labels": list(SENTENCES),
        "columns": list(columns_read(pipeline, [*frame.columns])),
        "reads_documents": reads_documents(pipeline),
        "has_probabilities": probabilities,
        "key": "0" * 16,
        "serialization": "pickle" if pickled else "skops",
        "versions": {"scikit-learn": version("scikit-learn")},
        "calibrator": None,
    }
    data = to_pickle(pipeline) if pickled else to_skops(pipeline)
    name = "model.pkl" if pickled else "model.skops"
    write_folder(folder, manifest, {name: data}, replace=False)
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models ``sure`` (has probabilities), ``svm`` and ``neighbours``."""
    folder = tmp_path_factory.mktemp("models")
    save(folder / "sure", build_pipeline(TfidfVectorizer(), LogisticRegression()),
         probabilities=True)  # fmt: skip
    save(folder / "svm", build_pipeline(TfidfVectorizer(), LinearSVC()), probabilities=False)
    words = bound_to_columns(TfidfVectorizer())
    save(folder / "neighbours", build_pipeline(Context(words), LogisticRegression()),
         probabilities=True)  # fmt: skip
    save(folder / "pickled", build_pipeline(TfidfVectorizer(), LinearSVC()), probabilities=False,
         pickled=True)  # fmt: skip
    return folder


@pytest.fixture
def predict(
    models: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., tuple[int, bytes, str]]:
    """Run ``sitrepbench predict MODEL ...``, and return exit code, output and errors."""

    def call(model: str, *arguments: str | Path) -> tuple[int, bytes, str]:
        try:
            code = main(["predict", str(models / model), *map(str, arguments)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capfdbinary.readouterr()
        return code, captured.out, captured.err.decode()

    return call
