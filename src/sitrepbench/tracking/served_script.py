"""What an MLflow model of this program runs when it is loaded: MLflow's "models from code"."""

from mlflow.models import set_model

from sitrepbench.tracking.served import ServedModel

set_model(ServedModel())
