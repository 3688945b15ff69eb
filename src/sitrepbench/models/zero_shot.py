"""Zero-shot labelling: the definition that a sentence is most alike to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import normalize

from sitrepbench.data.dataset import TEXT
from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.labels import DEFINITIONS


class LabelDescription(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Label sentences by their cosine to a description of every label; nothing is learned.

    Chang, Ratinov, Roth & Srikumar (AAAI 2008) call it dataless classification.

    Parameters
    ----------
    encoder : Embeddings
        Gives sentences and descriptions their vectors.
    temperature : float
        Probabilities are the softmax of cosine / temperature. 0.05 is the inverse of the scale of
        20 by which encoders such as MiniLM multiply cosines in training.
    descriptions : mapping of str to str, or None
        What a sentence of each label reports; None for the definitions of the label scheme.

    Attributes
    ----------
    classes_ : ndarray of str, shape (n_classes,)
        The described labels, sorted; known without a fit.
    """

    reads_frame = True
    #: Parameters that `content_digest` stands for.
    content_parameters = ("encoder", "descriptions")

    def __init__(
        self,
        encoder: Any,
        *,
        temperature: float = 0.05,
        descriptions: Mapping[str, str] | None = None,
    ) -> None:
        self.encoder = encoder
        self.temperature = temperature
        self.descriptions = descriptions

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags

    @property
    def classes_(self) -> npt.NDArray[np.object_]:
        """The described labels, sorted."""
        return np.array(sorted(self._described()), dtype=object)

    def content_digest(self) -> str:
        """Return the sha256 of the encoder's content and of the descriptions.

        Raises
        ------
        SitrepBenchError
            As the encoder's own does.
        """
        content = [self.encoder.content_digest(), self._described()]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def fit(self, X: pd.DataFrame, y: Sequence[str]) -> Self:
        """Check that every label is described; nothing is learned.

        Raises
        ------
        ModelError
            Naming the labels that have no description.
        """
        unknown = sorted({str(label) for label in y} - set(self._described()))
        if unknown:
            raise ModelError(
                f"no description of the label(s) {', '.join(unknown)}; give one for every label: "
                "model.descriptions={label: 'what a sentence of it reports', ...}"
            )
        return self

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return probabilities, shape (n_rows, n_classes), columns as ``classes_``."""
        if not self.temperature > 0:
            raise ConfigError(f"model.temperature={self.temperature}: a number over 0 is expected")
        cosines = self._cosines([str(text) for text in X[TEXT]])
        return np.asarray(softmax(cosines / self.temperature, axis=1), dtype=np.float64)

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Return the label of every row, shape (n_rows,); ties go to the first in order."""
        best = self._cosines([str(text) for text in X[TEXT]]).argmax(axis=1)
        return np.asarray(self.classes_[best], dtype=object)

    def _cosines(self, texts: list[str]) -> npt.NDArray[np.float64]:
        described = self._described()
        told = [described[label] for label in sorted(described)]
        vectors = normalize(self.encoder.vectors([*told, *texts]))
        return np.asarray(vectors[len(told) :] @ vectors[: len(told)].T)

    def _described(self) -> dict[str, str]:
        if self.descriptions is None:
            return {definition.name: definition.reports for definition in DEFINITIONS}
        return {str(label): str(text) for label, text in self.descriptions.items()}
