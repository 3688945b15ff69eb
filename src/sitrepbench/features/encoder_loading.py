"""Loading a sentence encoder, and refusing one that is not what its files say."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from sitrepbench.encoders import EMBEDDING
from sitrepbench.errors import ConfigError, ModelError

Device = Literal["auto", "cpu", "cuda"]


def device_of(asked: str) -> str:
    """Return ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        For another name, or where there is no GPU.
    """
    EMBEDDING.check_installed()
    import torch

    if asked not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"embeddings: device={asked!r}: auto, cpu or cuda is expected")
    available = asked != "cpu" and bool(torch.cuda.is_available())
    if asked == "cuda" and not available:
        raise ConfigError(
            "embeddings: device=cuda, but torch finds no GPU that it can use; set device=cpu, or "
            "install a build of torch for your GPU (docs/pretrained.md)"
        )
    return "cuda" if available else "cpu"


@lru_cache(maxsize=1)
def loaded(folder: Path, device: str, digest: str) -> Any:
    """Load an encoder once per process, and anew when its files' ``digest`` is another one.

    Libraries' bars and warnings are not shown.

    Raises
    ------
    ModelError
        When it cannot be loaded, or not whole.
    """
    with _quiet():
        from sentence_transformers import SentenceTransformer

        try:
            encoder = SentenceTransformer(str(folder), device=device, local_files_only=True)
            missing = _made_up(encoder)
            knows_words = _knows_words(encoder)
        except Exception as error:  # whatever is wrong with somebody's model files
            said = str(error).strip().partition("\n")[0]
            if "ignore_mismatched_sizes" in said:
                said = "its weights have other shapes than its configuration tells"
            raise ModelError(
                f"{folder}: cannot be loaded by sentence-transformers: {type(error).__name__}: "
                f"{said}"
            ) from error
    if missing:
        raise ModelError(
            f"{folder}: its weights lack {len(missing)} of the encoder's parameters, such as "
            f"{missing[0]}, which would be random numbers; take the files as they were saved"
        )
    if not knows_words:
        raise ModelError(f"{folder}: its tokenizer knows no words; its files are not whole")
    return encoder


def check_length(encoder: Any, max_length: int | None) -> None:
    """Refuse more tokens than an encoder has positions for.

    Raises
    ------
    ConfigError
        Naming the most that it reads.
    """
    configs = [model.config for model in _networks(encoder)]
    positions = [getattr(config, "max_position_embeddings", None) for config in configs]
    most = min((number for number in positions if number), default=None)
    if max_length is not None and most is not None and max_length > most:
        raise ConfigError(
            f"embeddings: max_length={max_length}: this encoder has {most} positions for tokens; "
            "set fewer, or null for the model's own limit"
        )


def _networks(encoder: Any) -> list[Any]:
    """Return the networks of transformers that a sentence encoder is made of."""
    parts = [getattr(module, "auto_model", None) for module in encoder.children()]
    return [part for part in parts if part is not None]


def _made_up(encoder: Any) -> list[str]:
    """Return the parameters that stand in no file and were drawn at random, sorted.

    Loading says so in a warning only. The pooler of BERT, which few encoders use, may be missing.
    """
    found: list[str] = []
    for network in _networks(encoder):
        files = network.config._name_or_path
        _, told = type(network).from_pretrained(
            files, config=network.config, output_loading_info=True, local_files_only=True
        )
        found += [name for name in told["missing_keys"] if "pooler" not in name.split(".")]
    return sorted(found)


def _knows_words(encoder: Any) -> bool:
    tokenizer: Any = getattr(encoder, "tokenizer", None)
    special = getattr(tokenizer, "all_special_ids", None)
    return special is None or len(tokenizer) > len(set(special))


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging

        shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
        logging.disable_progress_bar()
        logging.set_verbosity_error()
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if shown:
                logging.enable_progress_bar()
