"""Loading a pretrained encoder whole: no weight drawn at random, no word unknown. Needs torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.finetuning.network import (
    LOCAL,
    OwnHead,
    PooledClassifier,
    encoder_of,
    first_line,
    quiet,
)

#: So many of a folder's faults are named.
_NAMED = 3


def load_pretrained(
    folder: Path, n_labels: int, *, head: str, dropout: float
) -> tuple[nn.Module, Any]:
    """Return a network with a fresh head, and the tokenizer of its encoder.

    Of a model with a decoder, such as T5, the mean head takes the encoder.

    Raises
    ------
    ConfigError
        When the folder holds no encoder that transformers can read.
    ModelError
        When its weights are not all there, or are no numbers, or its tokenizer is not its own.
    """
    tokenizer = _tokenizer(folder)
    model, told = _model(folder, n_labels, head=head)
    encoder = encoder_of(model) if head == "mean" else model
    _check_whole(folder, model, told, own_head=head == "own", alone=encoder is not model)
    _check_finite(folder, encoder)
    _check_tokenizer(folder, tokenizer, encoder)
    _pad(folder, tokenizer, encoder)
    if head == "mean":
        if not isinstance(getattr(encoder.config, "hidden_size", None), int):
            raise ConfigError(
                f"{folder}: {type(encoder).__name__} is no encoder of texts; use one, such as a "
                "BERT, or head=own"
            )
        return PooledClassifier(encoder, n_labels, dropout=dropout), tokenizer
    return OwnHead(encoder), tokenizer


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoConfig, AutoTokenizer

    with _told(folder, "config.json"):
        AutoConfig.from_pretrained(folder, **LOCAL)
    with _told(folder, "tokenizer"):
        return AutoTokenizer.from_pretrained(folder, **LOCAL)


def _model(folder: Path, n_labels: int, *, head: str) -> tuple[Any, Mapping[str, Any]]:
    """Return the model as transformers loads it, and what it tells of the weights."""
    from transformers import AutoModel, AutoModelForSequenceClassification

    settings: dict[str, Any] = {
        "dtype": torch.float32,
        # Told below, in words of our own; and a head for other labels is replaced.
        "ignore_mismatched_sizes": True,
        "output_loading_info": True,
        **LOCAL,
    }
    with _told(folder, "weights or config.json"):
        if head == "mean":
            found = AutoModel.from_pretrained(folder, **settings)
        else:
            found = AutoModelForSequenceClassification.from_pretrained(
                folder, num_labels=n_labels, **settings
            )
        model, told = found
    return model, told


@contextmanager
def _told(folder: Path, part: str) -> Iterator[None]:
    """Tell of which part of an encoder transformers complains."""
    try:
        with quiet():
            yield
    except Exception as error:  # whatever is wrong with somebody's files
        raise ConfigError(
            f"{folder}: no encoder that transformers can read, for its {part}: {first_line(error)}"
        ) from error


def _check_whole(
    folder: Path, model: nn.Module, told: Mapping[str, Any], *, own_head: bool, alone: bool
) -> None:
    """Refuse weights that transformers has drawn at random, but for a head's and a pooler's."""
    base = f"{model.base_model_prefix}." if own_head and model.base_model is not model else ""

    def needed(name: str) -> bool:
        fresh = not name.startswith(base) or (alone and name.startswith("decoder."))
        return not fresh and ".pooler." not in f".{name}"

    missing = sorted(filter(needed, told["missing_keys"]))
    if missing:
        raise ModelError(
            f"{folder}: its weights lack {_some(missing)}, which its config.json asks for; the "
            "folder is not whole, or its config.json another model's: fetch it anew"
        )
    other = sorted(
        f"{name} (found {tuple(found)}, expected {tuple(expected)})"
        for name, found, expected in told["mismatched_keys"]
        if needed(name)
    )
    if other:
        raise ModelError(
            f"{folder}: its weights have other shapes than its config.json says: {_some(other)}; "
            "fetch both anew"
        )


def _check_finite(folder: Path, encoder: nn.Module) -> None:
    broken = [
        name for name, value in encoder.named_parameters() if not bool(torch.isfinite(value).all())
    ]
    if broken:
        raise ModelError(
            f"{folder}: its weights hold NaN or infinity, in {_some(broken)}; fetch them anew, or "
            "take another encoder"
        )


def _check_tokenizer(folder: Path, tokenizer: Any, encoder: nn.Module) -> None:
    """Refuse a tokenizer to which all texts are equal, and one whose words the encoder lacks."""
    words = tokenizer.get_vocab()
    if not set(words) - set(tokenizer.all_special_tokens):
        raise ModelError(
            f"{folder}: its tokenizer knows no words; put the encoder's tokenizer files "
            "(tokenizer.json, or vocab.txt and the like) beside its weights"
        )
    try:
        rows = getattr(encoder.get_input_embeddings(), "num_embeddings", None)
    except (AttributeError, NotImplementedError):
        return  # an encoder of characters or bytes, which has no table of words
    last = max(words.values())
    if rows is not None and last >= rows:
        raise ModelError(
            f"{folder}: its tokenizer numbers words up to {last}, but its weights have {rows} "
            "words; the tokenizer is another encoder's: put its own there"
        )


def _pad(folder: Path, tokenizer: Any, encoder: nn.Module) -> None:
    """Settle by which token texts are made as long as others; GPT-2 and its like have none."""
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise ModelError(
                f"{folder}: its tokenizer has neither a padding token nor one that ends a text; "
                "set pad_token in its tokenizer_config.json"
            )
        tokenizer.pad_token = tokenizer.eos_token
    if getattr(encoder.config, "pad_token_id", None) is None:
        encoder.config.pad_token_id = tokenizer.pad_token_id


def _some(names: Iterable[str]) -> str:
    """Return the first names, and how many more there are.

    >>> _some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    listed = list(names)
    more = len(listed) - _NAMED
    return ", ".join(listed[:_NAMED]) + (f" and {more} more" if more > 0 else "")
