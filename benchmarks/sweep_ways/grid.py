"""The 48 configurations of benchmarks/sweep.py, and the little that all ways share.

Imported by the processes that are timed, so it imports nothing at its top but the standard
library.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

EXPERIMENT = "sweep-benchmark"
#: What conf/features/{word,char}.yaml say, as arguments of TfidfVectorizer.
WORD = {"ngram_range": (1, 2), "min_df": 2, "sublinear_tf": True}
CHAR = {"analyzer": "char_wb", "ngram_range": (2, 5), "min_df": 2, "sublinear_tf": True}
FEATURES = {"word": [WORD], "char": [CHAR], "word_char": [WORD, CHAR]}
#: Linear models whose inner loops use no threads of BLAS: logistic regression by L-BFGS is two to
#: three times slower with two threads than with one on such data, which would flatter whoever
#: limits them. Everything that draws random numbers is seeded, so that labels are the same.
MODELS: dict[str, dict[str, Any]] = {
    "sweep_svm": {"_target_": "sklearn.svm.LinearSVC", "C": 0.3, "random_state": 0},
    "sweep_logreg": {
        "_target_": "sklearn.linear_model.LogisticRegression",
        "solver": "saga",
        "C": 1.0,
        "tol": 1e-3,
        "max_iter": 1000,
        "random_state": 0,
    },
    "sweep_sgd": {"_target_": "sklearn.linear_model.SGDClassifier", "random_state": 0},
    "sweep_ridge": {"_target_": "sklearn.linear_model.RidgeClassifier", "alpha": 1.0},
}
#: Settings that all four models take: four combinations.
SETTINGS: dict[str, list[Any]] = {
    "class_weight": [None, "balanced"],
    "fit_intercept": [True, False],
}
PARTS = ("train", "dev")


def configurations() -> Iterator[dict[str, Any]]:
    """Yield the 48 configurations, those of one feature set one after the other."""
    for features, model, *values in itertools.product(FEATURES, MODELS, *SETTINGS.values()):
        yield {"features": features, "model": model, **dict(zip(SETTINGS, values, strict=True))}


def sweep_overrides() -> list[str]:
    """Return the sweep as Hydra's overrides."""
    shown = {None: "null", True: "true", False: "false"}
    settings = [
        f"model.{name}={','.join(shown.get(value, str(value)) for value in values)}"
        for name, values in SETTINGS.items()
    ]
    return [f"features={','.join(FEATURES)}", f"model={','.join(MODELS)}", *settings]


def model_file(arguments: Mapping[str, Any]) -> str:
    """Return a model as a file of the config group (JSON is YAML)."""
    return json.dumps({**arguments, **{name: values[0] for name, values in SETTINGS.items()}})


def make_features(name: str) -> Any:
    """Return an unfitted TF-IDF vectoriser, or two side by side."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    vectorizers = [TfidfVectorizer(**arguments) for arguments in FEATURES[name]]
    if len(vectorizers) == 1:
        return vectorizers[0]
    return FeatureUnion([(str(place), item) for place, item in enumerate(vectorizers)])


def make_model(configuration: Mapping[str, Any]) -> Any:
    """Return an unfitted model."""
    arguments = dict(MODELS[configuration["model"]])
    module, _, name = arguments.pop("_target_").rpartition(".")
    arguments.update({name: configuration[name] for name in SETTINGS})
    return getattr(import_module(module), name)(**arguments)


def read_parts(path: str | Path) -> list[tuple[Any, Any]]:
    """Return texts and labels of the training and the test part."""
    import pandas as pd

    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    parts = [frame[frame["split"] == name] for name in PARTS]
    return [(part["text"].to_numpy(object), part["label"].to_numpy(object)) for part in parts]


def identity(configuration: Mapping[str, Any]) -> str:
    """Return a configuration as one string, the same in all ways."""
    return " ".join(f"{name}={configuration[name]}" for name in ("features", "model", *SETTINGS))


def write_scores(
    path: str | Path, scores: Mapping[str, float], seconds: Mapping[str, float]
) -> None:
    """Leave what a way came to for the benchmark to compare."""
    Path(path).write_text(json.dumps({"scores": scores, "seconds": seconds}), encoding="utf-8")
