"""Encoders of other kinds, and folders that are not whole: refused in words of use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.finetuning import FineTuned
from sitrepbench.models.example import example_sentences

SENTENCES, LABELS = example_sentences(8, 5)
#: Makes a damaged folder of a sound one.
Damage = Callable[[Path], None]


def tiny(encoder: Path, **settings: Any) -> FineTuned:
    chosen = {"epochs": 1, "dev_share": 0, "tuned_layers": None, "random_state": 1}
    return FineTuned(str(encoder), device="cpu", **{**chosen, **settings})


def configured(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def with_weights(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def without_a_layer(folder: Path) -> None:
    with_weights(folder, lambda all_: {n: v for n, v in all_.items() if "layer.1." not in n})


def without_a_pooler(folder: Path) -> None:
    with_weights(folder, lambda all_: {n: v for n, v in all_.items() if "pooler" not in n})


def with_nan(folder: Path) -> None:
    with_weights(
        folder, lambda all_: {n: v * (np.nan if "word" in n else 1) for n, v in all_.items()}
    )


def special_tokens_only(folder: Path) -> None:
    told = json.loads((folder / "tokenizer.json").read_text())
    words = told["model"]["vocab"]
    told["model"]["vocab"] = {word: words[word] for word in words if word.startswith("[")}
    (folder / "tokenizer.json").write_text(json.dumps(told))


def more_words(folder: Path) -> None:
    with_weights(
        folder, lambda all_: {n: v[:20] if "word_emb" in n else v for n, v in all_.items()}
    )
    configured(folder, vocab_size=20)


@pytest.mark.parametrize("head", ["mean", "own"])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (without_a_layer, r"lack (bert\.)?encoder\.layer\.1\..* more, which its config.json"),
        (
            lambda folder: configured(folder, num_hidden_layers=3),
            r"lack (bert\.)?encoder\.layer\.2",
        ),
        (lambda folder: configured(folder, vocab_size=7), r"found \(\d+, 32\), expected \(7, 32\)"),
        (with_nan, r"NaN or infinity, in (bert\.)?embeddings\.word_embeddings"),
        (special_tokens_only, "tokenizer knows no words"),
        (more_words, r"up to \d+, but its weights have 20 words"),
    ],
)
def test_an_encoder_that_is_not_whole_is_refused(
    tiny_encoder: Path, tmp_path: Path, damage: Damage, told: str, head: str
) -> None:
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    damage(folder)
    with pytest.raises(ModelError, match=told) as caught:
        tiny(folder, head=head).fit(SENTENCES, LABELS)
    assert str(caught.value).startswith(f"{folder}: ")


@pytest.mark.parametrize("head", ["mean", "own"])
def test_a_pooler_and_a_head_may_be_absent(tiny_encoder: Path, tmp_path: Path, head: str) -> None:
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    without_a_pooler(folder)
    tiny(folder, head=head).fit(SENTENCES, LABELS)


def test_a_head_for_other_labels_is_replaced(tiny_encoder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    found = AutoModelForSequenceClassification.from_pretrained(tiny_encoder, num_labels=3)
    found.save_pretrained(folder)
    model = tiny(folder, head="own").fit(SENTENCES, LABELS)
    assert model.predict_proba(SENTENCES).shape == (len(SENTENCES), len(set(LABELS)))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("tokenizer.json", "{}", "for its tokenizer: KeyError"),
        ("config.json", "[]", r"for its config\.json: ValueError: Unrecognized model"),
        ("model.safetensors", "half", "for its weights or config.json: SafetensorError"),
    ],
)
def test_the_part_that_cannot_be_read_is_named(
    tiny_encoder: Path, tmp_path: Path, name: str, content: str, told: str
) -> None:
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    (folder / name).write_text(content)
    with pytest.raises(ConfigError, match=told):
        tiny(folder).fit(SENTENCES, LABELS)


def test_a_fitted_models_files_that_cannot_be_read(tiny_encoder: Path) -> None:
    model = tiny(tiny_encoder).fit(SENTENCES, LABELS)
    words = model.files_["tokenizer.json"].replace(b'"WordPiece"', b'"Unheard"')
    model.files_ = {**model.files_, "tokenizer.json": words}
    with pytest.raises(ModelError, match="files are damaged: Exception: data did not match"):
        model.predict(SENTENCES)


def test_an_encoder_whose_numbers_overflow_is_blamed(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    with_weights(
        folder,
        lambda all_: {n: v * 1e38 if "LayerNorm.weight" in n else v for n, v in all_.items()},
    )
    for settings in ({}, {"probe": False}, {"head": "own"}):
        with pytest.raises(ModelError, match="gives NaN or infinity for .* before") as caught:
            tiny(folder, **settings).fit(SENTENCES, LABELS)
        assert str(folder) in str(caught.value)


def test_a_fitted_network_that_gives_no_numbers(tiny_encoder: Path) -> None:
    from safetensors.numpy import load, save

    model = tiny(tiny_encoder).fit(SENTENCES, LABELS)
    weights = load(model.files_["model.safetensors"])
    weights["head.bias"] = weights["head.bias"] * np.nan
    model.files_ = {**model.files_, "model.safetensors": save(weights)}
    with pytest.raises(ModelError, match="gives NaN or infinity for 40 of 40 sentences"):
        model.predict_proba(SENTENCES)


def encoder_of_kind(kind: str, folder: Path, words: Path) -> Path:
    """Write a tiny encoder of a kind of transformers with the tokenizer of another."""
    import transformers

    shutil.copy(words / "tokenizer.json", folder)
    shutil.copy(words / "tokenizer_config.json", folder)
    size = len(json.loads((words / "tokenizer.json").read_text())["model"]["vocab"])
    bert = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    bert |= {"intermediate_size": 64, "max_position_embeddings": 34}
    settings: dict[str, dict[str, Any]] = {
        "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 32}
        | {"bos_token_id": 2, "eos_token_id": 3},
        "T5": {"d_model": 32, "d_ff": 64, "num_layers": 1, "num_heads": 2, "d_kv": 16},
        "Roberta": bert,
        "Camembert": bert,
        "MPNet": bert,
    }
    config = getattr(transformers, f"{kind}Config")(vocab_size=size, **settings[kind])
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("head", ["mean", "own"])
@pytest.mark.parametrize("kind", ["GPT2", "Roberta", "Camembert", "MPNet"])
def test_other_kinds_read_long_texts_to_their_last_position(
    tiny_encoder: Path, tmp_path: Path, kind: str, head: str
) -> None:
    from sitrepbench.finetuning.loading import load_pretrained
    from sitrepbench.finetuning.network import readable

    folder = encoder_of_kind(kind, tmp_path, tiny_encoder)
    network, tokenizer = load_pretrained(folder, 2, head=head, dropout=0.0)
    assert readable(network, tokenizer, 500) == 32
    long = SENTENCES.assign(text=[f"{text} " * 20 for text in SENTENCES["text"]])
    model = tiny(folder, head=head, tuned_layers=1, max_length=500).fit(long, LABELS)
    np.testing.assert_allclose(model.predict_proba(long).sum(axis=1), 1.0)


def test_without_a_padding_token_the_last_one_pads(tiny_encoder: Path, tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    folder = encoder_of_kind("GPT2", tmp_path, tiny_encoder)
    words = str(tiny_encoder / "tokenizer.json")
    PreTrainedTokenizerFast(tokenizer_file=words, eos_token="[SEP]").save_pretrained(folder)
    for head in ("mean", "own"):
        model = tiny(folder, head=head).fit(SENTENCES, LABELS)
        assert json.loads(model.files_["tokenizer_config.json"])["pad_token"] == "[SEP]"
        assert np.isfinite(model.predict_proba(SENTENCES)).all()
    PreTrainedTokenizerFast(tokenizer_file=words).save_pretrained(folder)
    with pytest.raises(ModelError, match="neither a padding token nor one that ends a text"):
        tiny(folder).fit(SENTENCES, LABELS)


def test_of_a_model_with_a_decoder_the_encoder_is_taken(tiny_encoder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load
    from transformers import T5EncoderModel

    folder = encoder_of_kind("T5", tmp_path, tiny_encoder)
    model = tiny(folder, tuned_layers=1).fit(SENTENCES, LABELS)
    assert np.isfinite(model.predict_proba(SENTENCES)).all()
    assert not any("decoder" in name for name in load(model.files_["model.safetensors"]))
    with pytest.raises(ConfigError, match="T5ForSequenceClassification .* use head=mean"):
        tiny(folder, head="own").fit(SENTENCES, LABELS)
    # Sentence encoders of this kind are kept without their decoder.
    T5EncoderModel.from_pretrained(folder).save_pretrained(folder)
    alone = tiny(folder, tuned_layers=1).fit(SENTENCES, LABELS)
    np.testing.assert_array_equal(alone.predict_proba(SENTENCES), model.predict_proba(SENTENCES))


def test_more_layers_than_there_are(tiny_encoder: Path) -> None:
    with pytest.raises(ConfigError, match=r"this BertModel has 2 layers; .* null to train all"):
        tiny(tiny_encoder, tuned_layers=3).fit(SENTENCES, LABELS)
    tiny(tiny_encoder, tuned_layers=2).fit(SENTENCES, LABELS)


@pytest.mark.parametrize("device", ["meta", "abacus", "", "cuda:99"])
def test_a_device_that_does_not_compute(tiny_encoder: Path, device: str) -> None:
    model = tiny(tiny_encoder).set_params(device=device)
    with pytest.raises(ConfigError, match=rf"device={device} is not .*; there is auto, cpu"):
        model.fit(SENTENCES, LABELS)
