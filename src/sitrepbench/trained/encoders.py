"""The encoders that a trained model reads: outside its folder, and the same files as at training.

A model holds an encoder's name and the digest of its files. The name is the model's choice, and
loading an encoder may run code that lies beside it (sentence-transformers before 6.0) or fetch it
from a hub; so nothing is read from there unless who loads the model names the encoder too. The
packaged one is part of an installation, and its weights are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sitrepbench.encoders import (
    EMBEDDING,
    FINE_TUNING,
    PACKAGED,
    PACKAGED_DISTRIBUTION,
    EncoderUse,
)
from sitrepbench.errors import ConfigError, DataError
from sitrepbench.features.embeddings import Embeddings
from sitrepbench.trained.parts import parts_of

#: Trusting this type lets a model have the encoder read that it names.
EMBEDDINGS_TYPE = f"{Embeddings.__module__}.{Embeddings.__qualname__}"
_FINE_TUNED = "sitrepbench.finetuning."
#: In which the weights of networks lie.
_SAFETENSORS = "safetensors"


def encoder_parts(pipeline: Any) -> list[Embeddings]:
    """Return the parts of a pipeline that read an encoder, wherever they are in it."""
    return [part for part in parts_of(pipeline) if isinstance(part, Embeddings)]


def encoders_named(pipeline: Any) -> tuple[str, ...]:
    """Return the encoders that a pipeline reads, but the packaged one."""
    names = (part.model for part in encoder_parts(pipeline))
    return tuple(dict.fromkeys(name for name in names if name != PACKAGED))


def local_name(name: str) -> str:
    """Return an encoder's name; that of a local folder in full, for any working directory."""
    if name == PACKAGED or not Path(name).expanduser().is_dir():
        return name
    return str(Path(name).expanduser().resolve())


def settle_encoders(pipeline: Any) -> None:
    """Let the parts of a fitted pipeline say in full where their encoder lies, and which it is."""
    for part in encoder_parts(pipeline):
        part.model = local_name(part.model)
        if not hasattr(part, "digest_"):
            # It is asked for vectors without a fit, as for zero-shot labelling.
            part.digest_ = part.content_digest()


def libraries_of(pipeline: Any) -> dict[str, str]:
    """Return the libraries that a pipeline's networks are computed with, and their versions."""
    names: set[str] = set()
    for part in parts_of(pipeline):
        if isinstance(part, Embeddings):
            names.update((*EMBEDDING.distributions, _SAFETENSORS))
            if part.model == PACKAGED:
                names.add(PACKAGED_DISTRIBUTION)
        elif _is_fine_tuned(part):
            names.update((*FINE_TUNING.distributions, _SAFETENSORS))
    found = {}
    for name in sorted(names):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # put there by other means than an installer's
    return found


def bring_encoders(
    folder: Path, pipeline: Any, *, encoder: str | None, trust: Sequence[str] | None
) -> None:
    """Let every part of a loaded pipeline find its encoder, or refuse the pipeline.

    Parameters
    ----------
    folder : Path
        The model's, for messages.
    pipeline : Pipeline
        Just loaded; its parts are changed.
    encoder : str or None
        Where the encoder is: ``packaged``, a folder, or a name on the Hugging Face hub.
    trust : sequence of str or None
        The types that were trusted by name; None where everything was.

    Raises
    ------
    ConfigError
        When an encoder or a library is absent, or the model reads no encoder.
    DataError
        When the files are not those of the training, or nobody named the encoder.
    """
    where = f"model {folder}"
    if any(map(_is_fine_tuned, parts_of(pipeline))):
        _check_installed(FINE_TUNING, where)
    parts = encoder_parts(pipeline)
    if not parts:
        if encoder is not None:
            raise ConfigError(
                f"{where} reads no encoder (a fine-tuned one has its weights in its own folder); "
                "leave --encoder out"
            )
        return
    _check_installed(EMBEDDING, where)
    if any(
        not isinstance(getattr(part, name, None), str)
        for part in parts
        for name in ("model", "digest_")
    ):
        raise DataError(f"{where} does not say which encoder it was fitted with; train it again")
    if encoder is not None:
        _take(parts, local_name(encoder), where)
        return
    named = encoders_named(pipeline)
    if named and trust is not None and EMBEDDINGS_TYPE not in trust:
        raise DataError(
            f"{where} reads an encoder outside its folder, at training "
            f"{' and '.join(map(repr, named))}; nothing was read from there. Say yourself where "
            "it is: --encoder FOLDER, or a name on the hub (in Python: encoder=...)."
        )
    for part in parts:
        if _digest(part, part.model, where) != part.digest_:
            raise DataError(_other_files(where, repr(part.model)))


def _take(parts: Sequence[Embeddings], name: str, where: str) -> None:
    """Let the parts read an encoder; those of the packaged one may stay with it."""
    for part in parts:
        fits = _digest(part, name, where) == part.digest_
        stays = part.model == PACKAGED and len(parts) > 1
        if fits:
            part.model = name
        elif not stays or _digest(part, PACKAGED, where) != part.digest_:
            raise DataError(_other_files(where, f"--encoder {name}"))
    if all(part.model != name for part in parts):
        raise DataError(_other_files(where, f"--encoder {name}"))


def _digest(part: Embeddings, name: str, where: str) -> str:
    """Return the content digest that a part would have with an encoder."""
    try:
        settings: Mapping[str, Any] = part.get_params(deep=False)
        return Embeddings(**{**settings, "model": name}).content_digest()
    except ConfigError as error:
        if name == PACKAGED or Path(name).expanduser().is_dir():
            raise ConfigError(f"{where}: its encoder: {error}") from error
        raise ConfigError(
            f"{where}: its encoder is not at {name}: there is no such folder here, and no model of "
            "that name is on this machine or to be had from the Hugging Face hub. Say where it "
            "is: --encoder FOLDER, or a name on the hub (in Python: encoder=...)."
        ) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(
            f"{where}: its encoder is not as it was fitted: {type(error).__name__}: {error}"
        ) from error


def _other_files(where: str, named: str) -> str:
    return (
        f"{where}: {named}: its files are not those that the model was fitted with; take the same "
        "ones, --encoder FOLDER (in Python: encoder=...)"
    )


def _check_installed(use: EncoderUse, where: str) -> None:
    try:
        use.check_installed()
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _is_fine_tuned(part: Any) -> bool:
    return type(part).__module__.startswith(_FINE_TUNED)
