"""What a fine-tuned classifier promises: the contract, seeds, weights, accumulation, no peeking."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.base import clone

from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.finetuning import FineTuned
from sitrepbench.models.contract import check_model
from sitrepbench.models.example import example_sentences
from sitrepbench.models.folds import DocumentFolds
from sitrepbench.resources import resource_folder

SENTENCES, LABELS = example_sentences(20, 6)


def tiny(encoder: Path, **settings: Any) -> FineTuned:
    chosen = {"epochs": 2, "learning_rate": 1e-3, "dev_share": 0.2, "dropout": 0.0}
    chosen |= {"tuned_layers": None, "trained_share": 1.0}
    return FineTuned(str(encoder), device="cpu", **{**chosen, "random_state": 1, **settings})


def test_the_configuration_says_what_the_class_does_by_itself() -> None:
    told = yaml.safe_load((resource_folder("conf") / "model" / "finetuned.yaml").read_text())
    own = {name: value for name, value in told.items() if not name.startswith("_")}
    assert own == {n: v for n, v in FineTuned().get_params().items() if n != "random_state"}


@pytest.mark.slow
def test_nothing_heavy_is_imported_before_a_fit() -> None:
    script = (
        "import sys\n"
        "from sklearn.base import clone\n"
        "from sitrepbench.finetuning import FineTuned\n"
        "clone(FineTuned())\n"
        "sys.exit(', '.join({'torch', 'transformers', 'mlflow'} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_the_extra_the_line_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for ask in (FineTuned().content_digest, lambda: FineTuned().fit(SENTENCES, LABELS)):
        with pytest.raises(ConfigError, match=r"pip install 'sitrepbench\[transformers\]'"):
            ask()


def test_all_senseless_settings_are_told_at_once() -> None:
    model = FineTuned(epochs=0, head="max", dev_share=0.9, learning_rate=0)  # type: ignore[arg-type]
    with pytest.raises(ModelError) as caught:
        model.fit(SENTENCES, LABELS)
    for name in ("epochs", "head", "dev_share", "learning_rate"):
        assert name in str(caught.value)


@pytest.mark.slow
def test_the_contract_of_models_holds(tiny_encoder: Path) -> None:
    model = tiny(tiny_encoder, epochs=1, random_state=None)
    found = check_model(model, None, seed=3)
    assert [finding for finding in found if finding.severity == "error"] == []


def test_the_same_seed_gives_the_same_answers_and_leaves_the_process_alone(
    tiny_encoder: Path,
) -> None:
    import torch

    model = tiny(tiny_encoder, probe=False, dropout=0.2, dev_share=0)
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    one = model.fit(SENTENCES, LABELS).predict_proba(SENTENCES)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    torch.manual_seed(6)
    again = clone(model).fit(SENTENCES, LABELS).predict_proba(SENTENCES)
    np.testing.assert_array_equal(one, again)
    other = clone(model).set_params(random_state=2).fit(SENTENCES, LABELS)
    assert np.abs(other.predict_proba(SENTENCES) - one).max() > 1e-4


def test_it_learns_and_can_be_sent_and_saved(tiny_encoder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    model = tiny(tiny_encoder, epochs=8, learning_rate=3e-3, dev_share=0).fit(SENTENCES, LABELS)
    probabilities = model.predict_proba(SENTENCES)
    assert (model.predict(SENTENCES) == LABELS).mean() > 0.9
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict_proba(SENTENCES), probabilities)
    assert model.predict_proba(SENTENCES.head(0)).shape == (0, 5)
    model.save(tmp_path)
    assert load_file(tmp_path / "model.safetensors")["head.weight"].shape == (5, 32)
    assert json.loads((tmp_path / "finetuned.json").read_text())["classes"] == list(model.classes_)


@pytest.mark.parametrize("probe", [True, False])
def test_the_head_of_the_encoders_own_kind(tiny_encoder: Path, probe: bool) -> None:
    model = tiny(tiny_encoder, head="own", probe=probe, epochs=1).fit(SENTENCES, LABELS)
    np.testing.assert_allclose(model.predict_proba(SENTENCES).sum(axis=1), 1.0)


def test_two_labels_start_from_their_regression(tiny_encoder: Path) -> None:
    two = np.where(LABELS == "denial", "denial", "other").astype(object)
    model = tiny(tiny_encoder, trained_share=0.0, dev_share=0, epochs=1).fit(SENTENCES, two)
    # What it says is what the regression says, which an encoder of random weights helps a little.
    shown = tiny(tiny_encoder, probe=False, trained_share=0.0, dev_share=0, epochs=1)
    drawn = (shown.fit(SENTENCES, two).predict(SENTENCES) == two).mean()
    assert (model.predict(SENTENCES) == two).mean() > max(0.8, drawn)


def test_class_weights_change_what_is_learned(tiny_encoder: Path) -> None:
    rare = np.where(LABELS == "denial", "denial", "other").astype(object)
    balanced = tiny(tiny_encoder, probe=False).fit(SENTENCES, rare)
    plain = tiny(tiny_encoder, probe=False, class_weight=None).fit(SENTENCES, rare)
    column = list(balanced.classes_).index("denial")
    mean = balanced.predict_proba(SENTENCES)[:, column].mean()
    assert mean > plain.predict_proba(SENTENCES)[:, column].mean() + 0.05


def test_small_batches_accumulate_to_a_large_one(tiny_encoder: Path) -> None:
    large = tiny(tiny_encoder, batch_size=12).fit(SENTENCES, LABELS)
    small = tiny(tiny_encoder, batch_size=4, accumulate=3).fit(SENTENCES, LABELS)
    other = tiny(tiny_encoder, batch_size=4).fit(SENTENCES, LABELS)
    expected = large.predict_proba(SENTENCES)
    np.testing.assert_allclose(small.predict_proba(SENTENCES), expected, atol=1e-4)
    assert np.abs(other.predict_proba(SENTENCES) - expected).max() > 1e-3


def test_watched_documents_are_whole_and_none_is_learned_from(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sitrepbench.finetuning import training

    model = tiny(tiny_encoder)
    train, dev = model._split(SENTENCES, LABELS)
    assert sorted([*train, *dev]) == list(range(len(SENTENCES)))
    documents = SENTENCES["document_id"]
    assert not {*documents.iloc[train]} & {*documents.iloc[dev]}
    assert 0.1 < len(dev) / len(SENTENCES) < 0.3
    # What is watched does not teach: other texts there, and other labels, the same network.
    texts = SENTENCES.copy()
    texts.loc[dev, "text"] = "talks ."
    labels = LABELS.copy()
    labels[dev] = np.roll(LABELS[dev], 1)
    look = training.Training._watched

    def ever_better(self: Any) -> dict[str, float]:
        seen.append(look(self)["dev_loss"])
        return {"dev_loss": -len(seen), "dev_macro_f1": 0.0}

    monkeypatch.setattr(training.Training, "_watched", ever_better)
    seen: list[float] = []
    found = {}
    for name, frame, told in (
        ("own", SENTENCES, LABELS),
        ("texts", texts, LABELS),
        ("labels", SENTENCES, labels),
    ):
        one = tiny(tiny_encoder, refit=False)
        # The same split, whatever the labels.
        one._split = lambda X, y: (train, dev)  # type: ignore[method-assign]
        found[name] = one.fit(frame, told)
    assert {fitted.best_epoch_ for fitted in found.values()} == {2}
    assert len(set(seen)) == len(seen) == 9, "other rows to watch, another loss"
    weights = {name: fitted.files_["model.safetensors"] for name, fitted in found.items()}
    assert weights["own"] == weights["texts"] == weights["labels"]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5])
def test_so_much_is_watched_as_is_asked_for(share: float) -> None:
    sentences, labels = example_sentences(60, 5)
    train, dev = FineTuned(dev_share=share)._split(sentences, labels)
    assert sorted([*train, *dev]) == list(range(len(sentences)))
    assert abs(len(dev) / len(sentences) - share) <= 0.02
    documents = sentences["document_id"]
    assert not {*documents.iloc[train]} & {*documents.iloc[dev]}


@pytest.mark.parametrize(("share", "folds"), [(0.1, 10), (0.2, 5), (0.25, 4), (0.5, 2)])
def test_a_share_that_is_a_fold_is_the_first(share: float, folds: int) -> None:
    expected = next(iter(DocumentFolds(folds).split(SENTENCES, LABELS)))
    found = FineTuned(dev_share=share)._split(SENTENCES, LABELS)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_of_two_documents_one_is_left_to_learn_from() -> None:
    sentences, labels = example_sentences(2, 5)
    for share in (0.05, 0.3, 0.45):
        train, dev = FineTuned(dev_share=share)._split(sentences, labels)
        assert len(train) == len(dev) == 5


def test_the_second_fit_learns_from_all_for_as_long_as_was_best(tiny_encoder: Path) -> None:
    watched = tiny(tiny_encoder, refit=False, epochs=4, patience=4).fit(SENTENCES, LABELS)
    again = tiny(tiny_encoder, epochs=4, patience=4).fit(SENTENCES, LABELS)
    assert again.best_epoch_ == watched.best_epoch_ >= 1
    assert again.files_["model.safetensors"] != watched.files_["model.safetensors"]
    if watched.best_epoch_ == 4:
        # Nothing is watched and every epoch done: the same fit by another way.
        all_ = tiny(tiny_encoder, epochs=4, dev_share=0).fit(SENTENCES, LABELS)
        assert all_.files_["model.safetensors"] == again.files_["model.safetensors"]


def test_the_weights_are_an_average_with_the_start(tiny_encoder: Path) -> None:
    from safetensors.numpy import load

    settings = {"dev_share": 0, "epochs": 2}
    start, half, trained = (
        load(
            tiny(tiny_encoder, trained_share=share, **settings)
            .fit(SENTENCES, LABELS)
            .files_["model.safetensors"]
        )
        for share in (0.0, 0.5, 1.0)
    )
    assert any(np.abs(start[name] - trained[name]).max() > 1e-3 for name in start)
    for name, value in half.items():
        np.testing.assert_allclose(value, (start[name] + trained[name]) / 2, atol=1e-6)


@pytest.mark.parametrize("head", ["mean", "own"])
def test_layers_below_are_left_as_they_came(tiny_encoder: Path, head: str) -> None:
    from safetensors.numpy import load

    settings = {"head": head, "dev_share": 0, "trained_share": 1.0, "epochs": 1, "dropout": 0.1}
    one, all_ = (
        tiny(tiny_encoder, tuned_layers=layers, **settings).fit(SENTENCES, LABELS)
        for layers in (1, None)
    )
    before, after = load(all_.files_["model.safetensors"]), load(one.files_["model.safetensors"])
    came = load((tiny_encoder / "model.safetensors").read_bytes())
    moved = {
        name
        for name in came
        for mine in after
        if mine.endswith(name) and not np.array_equal(after[mine], came[name])
    }
    assert moved
    assert all(".1." in name for name in moved if name.startswith("encoder."))
    assert not any(name.startswith("embeddings.") for name in moved)
    words = next(name for name in before if name.endswith("word_embeddings.weight"))
    assert not np.array_equal(before[words], came["embeddings.word_embeddings.weight"])


def test_the_encoders_content_counts_and_not_its_place(tiny_encoder: Path, tmp_path: Path) -> None:
    import shutil

    copied = tmp_path / "copy"
    shutil.copytree(tiny_encoder, copied)
    digest = FineTuned(str(tiny_encoder)).content_digest()
    assert FineTuned(str(copied)).content_digest() == digest
    (copied / "README.md").write_text("told")
    assert FineTuned(str(copied)).content_digest() == digest
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-5}))
    assert FineTuned(str(copied)).content_digest() != digest


@pytest.mark.parametrize(
    ("encoder", "told"),
    [("./nowhere", "no such folder"), ("nobody/nothing-of-this-name", "hf download")],
)
def test_an_encoder_that_is_not_there(transformers_extra: None, encoder: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        FineTuned(encoder).content_digest()


def test_a_folder_that_is_no_encoder(transformers_extra: None, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no config.json and no model.safetensors"):
        FineTuned(str(tmp_path)).content_digest()


def test_one_label_only_and_half_precision_on_a_processor(tiny_encoder: Path) -> None:
    with pytest.raises(ModelError, match="two labels at least"):
        tiny(tiny_encoder).fit(SENTENCES, ["denial"] * len(SENTENCES))
    with pytest.raises(ConfigError, match="precision=float16 needs a CUDA device"):
        tiny(tiny_encoder, precision="float16").fit(SENTENCES, LABELS)


def test_long_texts_are_cut_at_the_encoders_positions(tiny_encoder: Path) -> None:
    long = SENTENCES.assign(text=[text * 20 for text in SENTENCES["text"]])
    model = tiny(tiny_encoder, epochs=1, max_length=500).fit(long, LABELS)
    assert np.isfinite(model.predict_proba(long)).all()


def test_bfloat16_trains(tiny_encoder: Path) -> None:
    model = tiny(tiny_encoder, precision="bfloat16").fit(SENTENCES, LABELS)
    assert np.isfinite(model.predict_proba(SENTENCES)).all()


def test_answers_do_not_depend_on_what_else_is_asked(tiny_encoder: Path) -> None:
    model = tiny(tiny_encoder).fit(SENTENCES, LABELS)
    all_ = model.predict_proba(SENTENCES)
    alone = np.vstack([model.predict_proba(pd.DataFrame([row])) for _, row in SENTENCES.iterrows()])
    np.testing.assert_allclose(alone, all_, atol=1e-6)
