"""The naive way: Hydra's ``-m`` with its basic launcher, and MLflow's usual calls.

python naive.py --config-path FOLDER -m features=... model=...

No model is logged: that alone takes several seconds per run.
"""

from __future__ import annotations

import json
from pathlib import Path

import hydra
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import mlflow
from grid import EXPERIMENT, SETTINGS, identity, make_features, read_parts
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, f1_score
from sklearn.pipeline import make_pipeline


@hydra.main(version_base=None, config_name="config")
def main(config: DictConfig) -> None:
    """Run one configuration and log it."""
    (texts, labels), (test_texts, test_labels) = read_parts(config.sentences)
    mlflow.set_tracking_uri(config.tracking_uri)
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run():
        values = OmegaConf.to_container(config.model, resolve=True)
        mlflow.log_params(
            {"features": config.features.name, **{f"model.{k}": v for k, v in values.items()}}
        )
        model = hydra.utils.instantiate(config.model)
        pipeline = make_pipeline(make_features(config.features.name), model)
        pipeline.fit(texts, labels)
        predicted = pipeline.predict(test_texts)
        macro_f1 = f1_score(test_labels, predicted, average="macro")
        per_label = f1_score(test_labels, predicted, average=None)
        mlflow.log_metrics(
            {
                "macro_f1": macro_f1,
                "accuracy": accuracy_score(test_labels, predicted),
                **{f"f1/{k}": v for k, v in zip(pipeline.classes_, per_label, strict=True)},
            }
        )
        display = ConfusionMatrixDisplay.from_predictions(test_labels, predicted)
        mlflow.log_figure(display.figure_, "confusion_matrix.png")
        plt.close(display.figure_)
    names = {"features": config.features.name, "model": HydraConfig.get().runtime.choices["model"]}
    settings = {name: config.model[name] for name in SETTINGS}
    with Path(config.scores).open("a", encoding="utf-8") as file:
        file.write(json.dumps({identity({**names, **settings}): macro_f1}) + "\n")


if __name__ == "__main__":
    main()
