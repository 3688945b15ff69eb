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
from sklearn.base import clone

from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.finetuning import FineTuned
from sitrepbench.models.contract import check_model
from sitrepbench.models.example import example_sentences

SENTENCES, LABELS = example_sentences(20, 6)


def tiny(encoder: Path, **settings: Any) -> FineTuned:
    chosen = {"epochs": 2, "learning_rate": 1e-3, "dev_share": 0.2, "dropout": 0.0}
    return FineTuned(str(encoder), device="cpu", **{**chosen, "random_state": 1, **settings})


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
    model = tiny(tiny_encoder, epochs=1, learning_rate=1e-9, class_weight=None).fit(SENTENCES, two)
    # Hardly trained: what it says is what the regression says.
    assert (model.predict(SENTENCES) == two).mean() > 0.85


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


def test_watched_documents_are_whole_and_none_is_learned_from(tiny_encoder: Path) -> None:
    model = tiny(tiny_encoder)
    train, dev = model._split(SENTENCES, LABELS)
    assert sorted([*train, *dev]) == list(range(len(SENTENCES)))
    documents = SENTENCES["document_id"]
    assert not {*documents.iloc[train]} & {*documents.iloc[dev]}
    assert 0.1 < len(dev) / len(SENTENCES) < 0.3
    # What was watched, or asked about, does not teach: other texts, the same network.
    changed = SENTENCES.copy()
    changed.loc[dev, "text"] = "talks ."
    settings = {"choose_by": "loss", "patience": 9, "learning_rate": 1e-4}
    one, other = (
        tiny(tiny_encoder, **settings).fit(frame, LABELS) for frame in (SENTENCES, changed)
    )
    if one.best_epoch_ == other.best_epoch_:
        np.testing.assert_array_equal(one.predict_proba(SENTENCES), other.predict_proba(SENTENCES))


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
