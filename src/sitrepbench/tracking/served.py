"""A trained model as MLflow's `PythonModel`: bounded input in, label and probabilities out."""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc.model import PythonModel

from sitrepbench.data.dataset import TEXT
from sitrepbench.errors import SitrepBenchError
from sitrepbench.tracking.request_check import limit, too_many_rows
from sitrepbench.trained import TrainedModel, load_trained

#: The name under which the folder lies among the MLflow model's artifacts.
ARTIFACT = "trained"
LABEL_COLUMN = "label"
#: The most characters of all texts of one request; the variable sets another number.
MOST_CHARACTERS, CHARACTERS_VARIABLE = 5_000_000, "SITREPBENCH_SERVE_MAX_CHARACTERS"


class ServedModel(PythonModel):
    """Loads the folder of a trained model under the same rules as everywhere else.

    A model kept as pickle is refused unless ``model_config={"allow_pickle": True}`` is given to
    ``mlflow.pyfunc.load_model``; types beyond the allowlist want ``{"trust": ["module.Class"]}``.
    """

    def load_context(self, context: Any) -> None:
        """Load the model that lies among the artifacts."""
        given = context.model_config or {}
        self.trained: TrainedModel = load_trained(
            context.artifacts[ARTIFACT],
            allow_pickle=bool(given.get("allow_pickle", False)),
            trust=tuple(given.get("trust", ())),
            encoder=given.get("encoder"),
        )

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return a table with ``label`` and, where the model has them, ``p_<label>``."""
        frame = _as_frame(model_input)
        check_size(frame)
        try:
            return answers_frame(self.trained, frame)
        except SitrepBenchError as error:
            raise MlflowException(str(error), error_code=BAD_REQUEST) from error


def answers_frame(trained: TrainedModel, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a model's answers as a table, in the order of the rows."""
    labels, probabilities = trained.answer(frame)
    table = pd.DataFrame({LABEL_COLUMN: pd.Series(labels, dtype=object)})
    if trained.has_probabilities:
        for column, label in enumerate(trained.labels):
            table[f"p_{label}"] = probabilities[:, column]
    return table


def check_size(frame: pd.DataFrame) -> None:
    """Refuse more rows or characters than one request may have.

    Raises
    ------
    MlflowException
        With what was found and what is allowed.
    """
    told = too_many_rows(len(frame))
    if told:
        raise MlflowException(told, error_code=BAD_REQUEST)
    characters = limit(CHARACTERS_VARIABLE, MOST_CHARACTERS)
    found = sum(len(text) for text in frame.get(TEXT, ()) if isinstance(text, str))
    if found > characters:
        raise MlflowException(
            f"{found:,} characters; at most {characters:,} are answered at a time. Send them in "
            f"parts, or set {CHARACTERS_VARIABLE} where the model is loaded.",
            error_code=BAD_REQUEST,
        )


def _as_frame(given: Any) -> pd.DataFrame:
    """Return a table whatever form the input has: a table, texts, or columns by name."""
    if isinstance(given, pd.Series):
        return pd.DataFrame({TEXT: given.tolist()})
    if isinstance(given, dict):
        return pd.DataFrame(given)
    if not isinstance(given, pd.DataFrame):
        return pd.DataFrame({TEXT: list(given)})
    # A bare list of texts arrives as a column without a name.
    frame = given if TEXT in given else given.rename(columns={0: TEXT})
    # Columns by name, {"text": ["...", "..."]}, arrive as one row of lists.
    if len(frame) != 1 or not frame.map(lambda value: isinstance(value, list)).all(axis=None):
        return frame
    columns = {str(name): frame[name].iloc[0] for name in frame}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise MlflowException(f"columns of different lengths: {told}", error_code=BAD_REQUEST)
    return pd.DataFrame(columns)
