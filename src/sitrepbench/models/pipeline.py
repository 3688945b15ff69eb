"""Features and a model put together, and what in them draws random numbers."""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from sitrepbench.data.dataset import TEXT
from sitrepbench.errors import ModelError

FEATURES_STEP = "features"
MODEL_STEP = "model"
#: Solvers of logistic regression that shuffle nothing (scikit-learn's user guide, 1.1.11.3).
DETERMINISTIC_SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky")


def reads_frame(model: Any) -> bool:
    """Return whether a model reads the sentence table itself, so that no features apply."""
    return bool(getattr(model, "reads_frame", False))


def build_pipeline(features: Any, model: Any) -> Pipeline:
    """Return the unfitted pipeline from a DataFrame of sentences to labels.

    A bare text vectoriser is bound to the column ``text``: given a DataFrame, it would read the
    column names as its documents.
    """
    if reads_frame(model):
        return Pipeline([(MODEL_STEP, model)])
    if features is None:
        raise ModelError(
            f"{type(model).__name__} needs features; choose some, such as features=word_char"
        )
    return Pipeline([(FEATURES_STEP, bound_to_columns(features)), (MODEL_STEP, model)])


def bound_to_columns(features: Any) -> Any:
    """Return features that take a sentence table: a bare text vectoriser is given its column."""
    if _reads_strings(features):
        return ColumnTransformer([(TEXT, features, TEXT)], sparse_threshold=1.0)
    return features


def own_features(features: Any, model: Any) -> Any:
    """Return the features that a model which reads the sentence table was given.

    Raises
    ------
    ModelError
        When there are none; as with ``features=none``.
    """
    if not hasattr(features, "fit_transform"):
        raise ModelError(
            f"{type(model).__name__} needs features; choose some, such as features=word_char"
        )
    return bound_to_columns(features)


def _reads_strings(transformer: Any) -> bool:
    first = transformer.steps[0][1] if isinstance(transformer, Pipeline) else transformer
    return hasattr(first, "__sklearn_tags__") and bool(get_tags(first).input_tags.string)


def transform(steps: Pipeline, rows: Any) -> Any:
    """Return rows as fitted steps transform them.

    The pipeline's own method refuses steps that have learned nothing, such as hashing.
    """
    for _, step in steps.steps:
        rows = rows if step in (None, "passthrough") else step.transform(rows)
    return rows


def unset_seeds(pipeline: Pipeline) -> list[str]:
    """Return the parameters that seed randomness and that nobody has set, sorted.

    Empty where a pipeline draws no random numbers; then a run's seed decides nothing.
    """
    parameters = pipeline.get_params(deep=True)
    return sorted(
        name
        for name, value in parameters.items()
        if value is None
        and (name.endswith("__random_state") or name == "random_state")
        and not _draws_nothing(parameters.get(name.rpartition("__")[0]))
    )


def _draws_nothing(estimator: Any) -> bool:
    """Return whether an estimator takes a seed but, as it is set, has no use for it."""
    return isinstance(estimator, LogisticRegression) and estimator.solver in DETERMINISTIC_SOLVERS
