"""A tiny BERT with random weights and a made-up vocabulary, so that fits take a moment."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sitrepbench.models.example import example_sentences


@pytest.fixture(scope="session", autouse=True)
def _offline() -> Iterator[None]:
    """Let no test ask the hub, and let torch compute on one thread: these networks are tiny."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def transformers_extra(require: Callable[[bool, str], None]) -> None:
    """Skip without the extra."""
    for name in ("torch", "transformers", "safetensors"):
        present = importlib.util.find_spec(name) is not None
        require(present, f"{name} is absent: pip install 'sitrepbench[transformers]'")


@pytest.fixture(scope="session")
def tiny_encoder(transformers_extra: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a BERT of two small layers without dropout."""
    return make_encoder(tmp_path_factory.mktemp("encoder"), seed=0)


def make_encoder(folder: Path, *, seed: int) -> Path:
    """Write an encoder whose weights are drawn by a seed."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    texts = example_sentences()[0]["text"]
    words = sorted({word for text in texts for word in re.findall(r"\w+|[^\w\s]", text.lower())})
    vocabulary = {
        word: number
        for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])
    }
    BertTokenizerFast(vocab=vocabulary).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(folder)
    return folder
