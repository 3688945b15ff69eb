"""The networks that are fine-tuned, their files, and what they say of sentences. Needs torch."""

from __future__ import annotations

import inspect
import json
import logging
import os
import re
import tempfile
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load as load_weights
from safetensors.torch import load_model, save_model
from safetensors.torch import save as save_weights
from torch import Tensor, nn

from sitrepbench.errors import ConfigError, ModelError

WEIGHTS_FILE = "model.safetensors"
ABOUT_FILE = "finetuned.json"
#: Sentences that are answered about at once; more than in training, for nothing is kept of them.
_ANSWER_BATCH = 64
#: Characters of what an error of a library says that are shown.
_LONGEST_SAID = 200
#: Positions of an encoder that says nothing of them.
_NO_LIMIT = 10**6
#: Nothing is fetched, nor is code run that comes with a model, nor anybody asked whether to.
LOCAL: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}
#: What `packed` files are: plain names, in folders at most one deep.
_FILE_NAME = re.compile(r"([A-Za-z0-9_-]+/)?[A-Za-z0-9_-][A-Za-z0-9_.-]*")
#: Endings of what is read as data; the others, such as pickles and code, are none of them.
_ENDINGS = (".json", ".txt", ".model", ".spm", ".safetensors", ".jinja")
#: What in a configuration could name weights to be fetched; no encoder of texts has it.
_FETCHED = ("backbone", "backbone_config")
Array = npt.NDArray[np.float64]


class PooledClassifier(nn.Module):  # type: ignore[misc]
    """An encoder, the mean of its tokens at unit length, and a linear layer.

    Sentence encoders were trained with this mean; the pooler that a BERT's own classification
    head reads is left untrained in them.
    """

    def __init__(self, encoder: nn.Module, n_labels: int, *, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, n_labels)

    def embed(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the unit-length means of the tokens, shape (n, hidden_size)."""
        tokens = self.encoder(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(tokens.dtype)
        means = (tokens * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        return nn.functional.normalize(means.float(), dim=1)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the logits, shape (n, n_labels)."""
        return self.head(self.dropout(self.embed(batch)))


class OwnHead(nn.Module):  # type: ignore[misc]
    """A sequence classifier as transformers builds it for the encoder's kind."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the logits, shape (n, n_labels)."""
        return self.model(**batch).logits


def encoder_of(model: nn.Module) -> nn.Module:
    """Return what reads texts: of an encoder with a decoder, as T5 is, the encoder alone."""
    encoder = getattr(model, "encoder", None)
    # Of an encoder that was kept by itself, the configuration does not tell of the decoder.
    both = "decoder_input_ids" in inspect.signature(model.forward).parameters
    return encoder if both and isinstance(encoder, nn.Module) else model


def first_line(error: BaseException) -> str:
    """Return what an error of a library says, with its type: a KeyError alone is a bare word."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])
    kind = type(error).__name__
    return f"{kind}: {textwrap.shorten(said, _LONGEST_SAID)}" if said else kind


def packed(network: nn.Module, tokenizer: Any, about: Mapping[str, Any]) -> dict[str, bytes]:
    """Return a fitted network as files by name: safetensors, configuration and tokenizer."""
    inner = network.encoder if isinstance(network, PooledClassifier) else network.model
    with tempfile.TemporaryDirectory(prefix="sitrepbench-") as name, quiet():
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        inner.config.save_pretrained(folder)
        save_model(network, str(folder / WEIGHTS_FILE))
        (folder / ABOUT_FILE).write_text(json.dumps(about, sort_keys=True), encoding="utf-8")
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


def unpacked(files: Mapping[str, bytes]) -> tuple[nn.Module, Any]:
    """Return the network and the tokenizer of `packed` files, which may be anybody's.

    No code in them is run, nothing is written elsewhere, and nothing is fetched.

    Raises
    ------
    ModelError
        When they are not what `packed` wrote.
    """
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    try:
        _check_files(files)
        about = json.loads(files[ABOUT_FILE])
        with tempfile.TemporaryDirectory(prefix="sitrepbench-") as name, quiet():
            folder = Path(name)
            for path, content in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
            config = AutoConfig.from_pretrained(folder, **LOCAL)
            if any(getattr(config, name, None) for name in _FETCHED):
                raise ValueError("its configuration names another model")
            config.num_labels = about["n_labels"]
            if about["head"] == "mean":
                encoder = encoder_of(AutoModel.from_config(config))
                network: nn.Module = PooledClassifier(encoder, about["n_labels"], dropout=0.0)
            else:
                network = OwnHead(AutoModelForSequenceClassification.from_config(config))
            load_model(network.float(), folder / WEIGHTS_FILE)
    except Exception as error:  # whatever is wrong with somebody's files
        why = first_line(error)
        raise ModelError(f"the fine-tuned model's files are damaged: {why}") from error
    return network.eval(), tokenizer


def _check_files(files: Mapping[str, bytes]) -> None:
    """Refuse files that fine-tuning does not write, before any is put on the disk."""
    for name, content in files.items():
        if not isinstance(name, str) or not isinstance(content, bytes):
            raise TypeError("files are bytes by name")
        if not _FILE_NAME.fullmatch(name) or not name.endswith(_ENDINGS):
            raise ValueError(f"{name!r} is none of a fine-tuned model's files")


def write_trained(network: nn.Module, path: Path) -> None:
    """Write the weights that are trained as safetensors, through to the disk, whole or not."""
    beside = path.with_name(path.name + ".new")
    weights = {name: value.detach().cpu().contiguous() for name, value in trained(network)}
    with beside.open("wb") as file:
        file.write(save_weights(weights))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_trained(network: nn.Module, path: Path) -> None:
    """Give a network as it was loaded the weights of a file of `write_trained`."""
    take_trained(network, load_weights(path.read_bytes()))


def take_trained(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a network its trained weights by name: all of them or, with an error, none.

    Raises
    ------
    KeyError, ValueError
        When one is missing or of another shape.
    """
    check_trained(network, weights)
    with torch.no_grad():
        for name, value in trained(network):
            value.copy_(weights[name])


def check_trained(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not all those which a network trains; raises as `take_trained`."""
    for name, value in trained(network):
        if weights[name].shape != value.shape:
            shapes = f"{tuple(weights[name].shape)}, expected {tuple(value.shape)}"
            raise ValueError(f"{name} has the shape {shapes}")


def trained(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters that are trained, by name; the others are as they came."""
    for name, value in network.named_parameters():
        if value.requires_grad:
            yield name, value


def readable(network: nn.Module, tokenizer: Any, max_length: int) -> int:
    """Return how many tokens of a text are read: no more than the encoder has positions for."""
    inner = network.encoder if isinstance(network, PooledClassifier) else network.model
    positions = getattr(inner.config, "max_position_embeddings", None) or _NO_LIMIT
    for name, part in inner.named_modules():
        if name.endswith("position_embeddings") and getattr(part, "padding_idx", None) is not None:
            positions -= part.padding_idx + 1  # as in RoBERTa, they begin behind the padding's
            break
    return int(min(max_length, positions, tokenizer.model_max_length))


def tokenized(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[dict[str, list[int]]]:
    """Return the tokens of every text, cut at ``max_length`` of them."""
    if not texts:
        return []
    with quiet():
        found = tokenizer(list(texts), truncation=True, max_length=max_length)
    return [{name: found[name][row] for name in found} for row in range(len(texts))]


def padded(
    tokenizer: Any, tokens: Sequence[Mapping[str, list[int]]], device: torch.device
) -> dict[str, Tensor]:
    """Return one batch, padded to its longest text."""
    with quiet():
        batch = tokenizer.pad(list(tokens), return_tensors="pt")
    return {name: value.to(device) for name, value in batch.items()}


def batches_by_length(tokens: Sequence[Mapping[str, list[int]]]) -> list[list[int]]:
    """Return the rows in batches of texts that are about as long: little of them is padding."""
    order = sorted(range(len(tokens)), key=lambda row: (len(tokens[row]["input_ids"]), row))
    return [order[start : start + _ANSWER_BATCH] for start in range(0, len(order), _ANSWER_BATCH)]


def answers(
    function: Any, tokenizer: Any, tokens: Sequence[Mapping[str, list[int]]], device: torch.device
) -> npt.NDArray[np.float32]:
    """Return what a function of a batch says of every text, in single precision."""
    found: list[Any] = [None] * len(tokens)
    with torch.inference_mode():
        for rows in batches_by_length(tokens):
            said = function(padded(tokenizer, [tokens[row] for row in rows], device))
            for row, value in zip(rows, said.float().cpu().numpy(), strict=True):
                found[row] = value
    return np.stack(found)


def softmax(logits: npt.NDArray[np.float32]) -> Array:
    """Return probabilities in double precision, so that they sum to one."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def device_of(name: str) -> torch.device:
    """Return the device by name; ``auto`` takes CUDA, then Apple's GPU, then the processor.

    Raises
    ------
    ConfigError
        When this machine or this build of torch has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        # Read back, for a device such as ``meta`` takes numbers and has none.
        float(torch.zeros(1, device=device) + 1)
    except Exception as error:  # each kind of device has its own
        raise ConfigError(
            f"device={name} is not to be had here ({first_line(error)}); there is "
            f"{', '.join(_devices())}"
        ) from error
    return device


def _devices() -> list[str]:
    """Return what `device_of` takes on this machine."""
    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["auto", "cpu", *cuda, *mps]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from telling what a reader of a run has no use for."""
    from transformers.utils import logging as told

    level = told.get_verbosity()
    bars = told.is_progress_bar_enabled()
    told.set_verbosity(logging.ERROR)
    told.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=FutureWarning)
            yield
    finally:
        told.set_verbosity(level)
        if bars:
            told.enable_progress_bar()


__all__ = [
    "ABOUT_FILE",
    "LOCAL",
    "WEIGHTS_FILE",
    "OwnHead",
    "PooledClassifier",
    "answers",
    "check_trained",
    "device_of",
    "encoder_of",
    "first_line",
    "packed",
    "padded",
    "quiet",
    "read_trained",
    "readable",
    "softmax",
    "take_trained",
    "tokenized",
    "trained",
    "unpacked",
    "write_trained",
]
