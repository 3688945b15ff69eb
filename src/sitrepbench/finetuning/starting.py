"""Where training starts from: which layers are trained, and the head's first weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.finetuning.network import PooledClassifier, answers, first_line, trained

#: Inverse strength of the penalty of the regression that a head starts from, as in
#: ``model=logistic_regression``.
_PROBE_C = 5.0
#: Of so many sentences an encoder's first answers are looked at.
_TRIED = 8


def freeze(network: nn.Module, tuned_layers: int | None) -> None:
    """Keep all but the head and the encoder's uppermost layers from being trained.

    Parameters
    ----------
    tuned_layers : int or None
        How many layers are trained; None for the whole encoder, its word vectors too.

    Raises
    ------
    ConfigError
        When the encoder has no row of layers, or fewer than are asked for.
    """
    if tuned_layers is None:
        return
    pooled = isinstance(network, PooledClassifier)
    model = network.encoder if pooled else network.model
    encoder = model if pooled else model.base_model
    rows = [part for part in encoder.modules() if isinstance(part, nn.ModuleList)]
    number = getattr(model.config, "num_hidden_layers", max(map(len, rows), default=0))
    layers = next((row for row in rows if len(row) == number), ())
    if not layers:
        raise ConfigError(
            f"tuned_layers={tuned_layers}: no row of layers was found in this "
            f"{type(encoder).__name__}; set tuned_layers=null to train all of it"
        )
    if tuned_layers > len(layers):
        raise ConfigError(
            f"tuned_layers={tuned_layers}: this {type(encoder).__name__} has {len(layers)} layers; "
            "set so many at most, or null to train all of it, the word vectors too"
        )
    encoder.requires_grad_(False)
    for layer in list(layers)[-tuned_layers:]:
        layer.requires_grad_(True)
    # What an own head reads; the mean of the tokens goes past it.
    pooler = None if pooled else getattr(encoder, "pooler", None)
    if pooler is not None:
        pooler.requires_grad_(True)


def train_mode(network: nn.Module) -> None:
    """Put a network into training mode but for what is frozen, which has no dropout then."""
    network.train()
    for part in network.modules():
        weights = list(part.parameters())
        if weights and not any(weight.requires_grad for weight in weights):
            part.eval()


class Start:
    """The weights from which a training began, to be averaged with what became of them.

    The average of the two keeps what an encoder knew, and is often better than either (Wortsman
    et al. 2022, "Robust fine-tuning of zero-shot models").
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._weights = {name: value.detach().clone() for name, value in trained(network)}

    def head(self) -> dict[str, Tensor]:
        """Return the weights that did not come with the encoder."""
        return {name: value for name, value in self._weights.items() if name.startswith("head.")}

    def take_head(self, head: Mapping[str, Tensor]) -> None:
        """Take up the head of a training that is gone on with."""
        self._weights.update(head)

    @contextmanager
    def averaged(self, share: float) -> Iterator[None]:
        """Put the average into the network for a while; ``share`` is the trained one's."""
        if share == 1:
            yield
            return
        now = {name: value.detach().clone() for name, value in trained(self._network)}
        with torch.no_grad():
            for name, value in trained(self._network):
                value.copy_(torch.lerp(self._weights[name], now[name], share))
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in trained(self._network):
                    value.copy_(now[name])


def check_start(
    network: nn.Module, tokenizer: Any, tokens: Sequence[Mapping[str, list[int]]]
) -> None:
    """Refuse an encoder that gives no answers, or no numbers, before anything was trained.

    A few sentences tell; the random numbers that follow are the same without it.

    Raises
    ------
    ConfigError
        When it cannot compute on sentences, such as one with a decoder under its own head.
    ModelError
        When what it computes are no numbers.
    """
    network.eval()
    device = next(network.parameters()).device
    try:
        with torch.random.fork_rng(devices=[]):
            found = answers(network, tokenizer, tokens[:_TRIED], device)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever such an encoder needs beside sentences
        model = _model(network)
        own = "" if isinstance(network, PooledClassifier) else "head=mean, or "
        raise ConfigError(
            f"{model.config.name_or_path}: {type(model).__name__} cannot compute on sentences "
            f"alone ({first_line(error)}); use {own}an encoder of texts, such as a BERT"
        ) from error
    _check_finite(network, found)


def _model(network: nn.Module) -> nn.Module:
    return network.encoder if isinstance(network, PooledClassifier) else network.model


def _check_finite(network: nn.Module, found: npt.NDArray[np.float32]) -> None:
    broken = int((~np.isfinite(found)).any(axis=1).sum())
    if broken:
        raise ModelError(
            f"{_model(network).config.name_or_path}: the encoder gives NaN or infinity for "
            f"{broken} of {len(found)} sentences, before anything was trained; its files are "
            "damaged, or it does not compute in single precision: fetch it anew, or take another "
            "encoder"
        )


def probe_head(
    network: PooledClassifier,
    tokenizer: Any,
    tokens: Sequence[Mapping[str, list[int]]],
    codes: npt.NDArray[np.int64],
    by_code: npt.NDArray[np.float64],
) -> None:
    """Start a head from a logistic regression on what the encoder says untrained.

    A head drawn at random pulls the encoder about before it knows anything (Kumar et al. 2022,
    "Fine-tuning can distort pretrained features").

    Parameters
    ----------
    by_code : float ndarray, shape (n_labels,)
        How much an error counts, by the sentence's label.
    """
    present = np.unique(codes)
    if len(present) < 2:
        return
    network.eval()
    found = answers(network.embed, tokenizer, tokens, next(network.parameters()).device)
    _check_finite(network, found)
    model = LogisticRegression(C=_PROBE_C, max_iter=1000)
    model.fit(found, codes, sample_weight=by_code[codes])
    coef, intercept = model.coef_, model.intercept_
    if len(present) == 2:
        coef, intercept = np.vstack([-coef, coef]) / 2, np.append(-intercept, intercept) / 2
    # A label of which there is no sentence to learn from is not to be likely.
    all_coef = np.zeros((len(by_code), coef.shape[1]))
    all_intercept = np.full(len(by_code), intercept.min() - 1.0)
    all_coef[present], all_intercept[present] = coef, intercept
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(all_coef))
        network.head.bias.copy_(torch.from_numpy(all_intercept))
