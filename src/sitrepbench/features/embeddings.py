"""Sentence embeddings: vectors of a pretrained encoder, computed once and kept."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sitrepbench.data.dataset import TEXT
from sitrepbench.encoders import EMBEDDING, PACKAGED
from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.features.encoder_loading import Device, check_length, device_of, loaded
from sitrepbench.features.tfidf import word_char_tfidf
from sitrepbench.features.union import SideBySide
from sitrepbench.reuse.embeddings import vectors_of

#: What decides a vector beside the files and the settings.
DISTRIBUTIONS = ("sentence-transformers", "tokenizers", "torch", "transformers")
Storage = Literal["float32", "float16"]
#: Fewer tokens leave nothing of a sentence but the marks of its beginning and end.
LEAST_LENGTH = 4
#: The parameters of `Embeddings`; its content digest stands for those that decide vectors.
PARAMETERS = ("model", "batch_size", "device", "normalize", "max_length", "prompt", "storage")


class Embeddings(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Vectors of a pretrained sentence encoder (Reimers & Gurevych, EMNLP 2019).

    Nothing is learned from the training rows. Within a run vectors are kept in the results store
    and shared by all models, folds and runs; elsewhere in this process's memory, within bounds.

    Parameters
    ----------
    model : str
        ``packaged`` (all-MiniLM-L6-v2), a local folder, or a name on the Hugging Face hub: any
        sentence-transformers model.
    batch_size : int
        Sentences that are encoded at once. Like the device it moves last bits only, and is no
        part of a run's identity.
    device : {"auto", "cpu", "cuda"}
        Where to encode; ``auto`` takes a GPU where there is one.
    normalize : bool
        Whether vectors are scaled to length one.
    max_length : int or None
        Tokens after which a sentence is cut; None for the model's own limit.
    prompt : str or None
        What is put before every sentence, as some models want; None for the model's own.
    storage : {"float32", "float16"}
        In which vectors are kept; float16 takes half of the disk and moves some labels.

    Attributes
    ----------
    digest_ : str
        What the vectors that a model was fitted on depend on; other model files are refused.
    """

    content_parameters = PARAMETERS
    #: Libraries that decide predictions, beside those that always do.
    distributions = DISTRIBUTIONS

    def __init__(
        self,
        model: str = PACKAGED,
        *,
        batch_size: int = 32,
        device: Device = "auto",
        normalize: bool = True,
        max_length: int | None = None,
        prompt: str | None = None,
        storage: Storage = "float32",
    ) -> None:
        self.model = model
        self.batch_size = batch_size
        self.device = device
        self.normalize = normalize
        self.max_length = max_length
        self.prompt = prompt
        self.storage = storage

    def content_digest(self) -> str:
        """Return the sha256 of the model's files and of the settings that decide vectors.

        Raises
        ------
        ConfigError
            Without the extra, or when the model is not there.
        ModelError
            When the packaged weights are damaged.
        """
        decide = {
            "files": EMBEDDING.digest(self.model),
            "normalize": self.normalize,
            "max_length": self.max_length,
            "prompt": self.prompt,
            "storage": self.storage,
        }
        return hashlib.sha256(json.dumps(decide, sort_keys=True).encode()).hexdigest()

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Note which model it is; ``X`` and ``y`` are not read."""
        self.digest_ = self.content_digest()
        return self

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the vectors of the column ``text``, shape (n_rows, width).

        Raises
        ------
        ModelError
            When the model's files are not those of the fit, or encoding fails.
        """
        check_is_fitted(self, "digest_")
        return self.vectors([str(text) for text in X[TEXT]], expected=self.digest_)

    def vectors(
        self, texts: Sequence[str], *, expected: str | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the vectors of some texts, shape (n_texts, width); needs no fit.

        Raises
        ------
        ModelError
            When the content digest is not ``expected``, or encoding fails.
        """
        self._check()
        digest = self.content_digest()
        if expected is not None and digest != expected:
            raise ModelError(
                f"model={self.model}: its files or settings are not those that were fitted with "
                f"(digest {digest[:16]}, fitted {expected[:16]}); take the same model files"
            )
        found = vectors_of(
            texts,
            name=_store_name(digest),
            encode=self._encode,
            dtype=self.storage,
            batch_size=self.batch_size,
        )
        return found.astype(np.float64)

    def _check(self) -> None:
        problems = []
        if self.batch_size < 1:
            problems.append(f"batch_size={self.batch_size}: at least 1 is expected")
        if self.max_length is not None and self.max_length < LEAST_LENGTH:
            problems.append(
                f"max_length={self.max_length}: at least {LEAST_LENGTH}, or null, is expected"
            )
        if self.storage not in ("float32", "float16"):
            problems.append(f"storage={self.storage!r}: float32 or float16 is expected")
        if problems:
            raise ConfigError("embeddings: " + "; ".join(problems))

    def _encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        folder, files = EMBEDDING.folder(self.model), EMBEDDING.digest(self.model)
        encoder = loaded(folder, device_of(self.device), files)
        check_length(encoder, self.max_length)
        own = encoder.max_seq_length
        if self.max_length is not None:
            encoder.max_seq_length = self.max_length
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                vectors = encoder.encode(
                    texts,
                    prompt=self.prompt,
                    batch_size=self.batch_size,
                    normalize_embeddings=self.normalize,
                    show_progress_bar=False,
                )
        except Exception as error:  # somebody's model
            said = str(error).strip().partition("\n")[0]
            raise ModelError(
                f"model={self.model}: encoding fails: {type(error).__name__}: {said}"
            ) from error
        finally:
            encoder.max_seq_length = own
        if not np.isfinite(vectors).all():
            raise ModelError(
                f"model={self.model}: the encoder gives vectors with NaN or infinity; its files in "
                f"{folder} are damaged, or not made for {vectors.dtype}"
            )
        return np.asarray(vectors, dtype=np.float32)


def _store_name(digest: str) -> str:
    """Return what stands for an encoder in a store: other libraries may give other last bits."""
    versions = {name: metadata.version(name) for name in DISTRIBUTIONS}
    return hashlib.sha256(json.dumps([digest, versions]).encode()).hexdigest()[:32]


class EmbeddingsBeside(SideBySide):
    """Embeddings beside other features; the content digest stands for what decides vectors."""

    content_parameters = (*SideBySide.content_parameters, *PARAMETERS)


def embeddings_tfidf(
    model: str = PACKAGED,
    *,
    weight: float = 1.0,
    word_ngrams: Sequence[int] = (1, 2),
    char_ngrams: Sequence[int] = (2, 5),
    min_df: int | float = 2,
    sublinear_tf: bool = True,
    batch_size: int = 32,
    device: Device = "auto",
    normalize: bool = True,
    max_length: int | None = None,
    prompt: str | None = None,
    storage: Storage = "float32",
) -> EmbeddingsBeside:
    """Return sentence embeddings beside word and character TF-IDF.

    Parameters
    ----------
    model, batch_size, device, normalize, max_length, prompt, storage
        As for `Embeddings`.
    weight : float
        What the embeddings are multiplied by; TF-IDF rows have length one per kind.
    word_ngrams, char_ngrams, min_df, sublinear_tf
        As for `word_char_tfidf`.

    Returns
    -------
    EmbeddingsBeside
        From a sentence table to a sparse float matrix (n_rows, n_terms + width).
    """
    embeddings = Embeddings(
        model,
        batch_size=batch_size,
        device=device,
        normalize=normalize,
        max_length=max_length,
        prompt=prompt,
        storage=storage,
    )
    tfidf = word_char_tfidf(word_ngrams, char_ngrams, min_df=min_df, sublinear_tf=sublinear_tf)
    return EmbeddingsBeside(
        [("text", tfidf), ("embeddings", embeddings)], transformer_weights={"embeddings": weight}
    )
