"""Every model and every features choice of ``conf/``: described, tunable, sound."""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from sitrepbench.config.building import build
from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import RunConfig, check_config
from sitrepbench.config.targets import TARGET, parameters_of
from sitrepbench.errors import ModelError
from sitrepbench.labels import LABELS
from sitrepbench.models.answers import predict
from sitrepbench.models.contract import check_model
from sitrepbench.models.example import example_sentences
from sitrepbench.models.pipeline import build_pipeline, reads_frame, unset_seeds
from sitrepbench.resources import resource_folder

MODELS = sorted(file.stem for file in (resource_folder("conf") / "model").glob("*.yaml"))
FEATURES = sorted(file.stem for file in (resource_folder("conf") / "features").glob("*.yaml"))
COSTS = ("cheap", "moderate", "dear")
#: What is set for the quick tests: the same models, made small.
SMALL = {
    "calibrated_svm": ("features=word", "model.n_folds=2"),
    "crf": ("features=word",),
    "hist_gradient_boosting": ("features.n_components=10", "model.max_iter=5"),
    "logistic_regression": ("features=word",),
    "mlp": ("features=lsa", "features.n_components=20", "model.learning_rate_init=0.02"),
    "random_forest": ("model.n_estimators=20",),
    "stacking": ("model.parts.svm.features._target_=sitrepbench.features.word_tfidf",),
    "voting": (
        "model.parts.svm.model.features._target_=sitrepbench.features.word_tfidf",
        "+model.parts.svm.model.n_folds=2",
        "+model.parts.nbsvm.model.n_folds=2",
    ),
}
#: Models that an extra is needed for, with a module of it; they are tried where they lie.
NEEDS = {"finetuned": "transformers", "label_description": "sentence_transformers"}
#: Models that these tests fit.
FITTED = [name for name in MODELS if name not in NEEDS]
#: Models whose contract has a note, and which.
NOTES = {
    "chance": {"label_order"},
    "keyword_rules": {"missing_label"},
    "majority_background": {"missing_label"},
}


@cache
def composed(*overrides: str) -> RunConfig:
    return check_config(compose([*overrides, "dataset=sitrep"]))


def parts(config: RunConfig) -> tuple[Any, Any]:
    model = config.build("model")
    return model, None if reads_frame(model) else config.build("features")


def written(group: str, name: str) -> dict[str, Any]:
    """Return a file as it stands, without its defaults list; composing takes a hundred times."""
    file = resource_folder("conf") / group / f"{name}.yaml"
    node: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    node.pop("defaults", None)
    return node


def about(group: str, name: str) -> dict[str, Any]:
    return dict(written(group, name)["_about_"])


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_described(name: str) -> None:
    told = about("model", name)
    assert set(told) - {"grid"} == {"short", "source", "cost", "probabilities", "space"}
    assert 1 <= len(told["short"]) <= 8
    assert told["cost"] in COSTS
    assert told["source"]
    first = (resource_folder("conf") / "model" / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith("# ")


@pytest.mark.parametrize("name", FEATURES)
def test_every_features_choice_is_described(name: str) -> None:
    told = about("features", name)
    assert set(told) == {"short", "source", "cost"}
    assert told["cost"] in COSTS


def test_short_names_are_unique() -> None:
    for group, names in (("model", MODELS), ("features", FEATURES)):
        shorts = [about(group, name)["short"] for name in names]
        assert len(set(shorts)) == len(shorts)


def takes(node: Any, path: list[str]) -> bool:
    """Return whether a dotted path leads to an argument of what a config node builds."""
    key, *rest = path
    if not isinstance(node, dict):
        return False
    known = key in node or (TARGET in node and key in parameters_of(node[TARGET]))
    return known and (not rest or takes(node.get(key), rest))


def values_of(space: dict[str, Any]) -> Iterator[Any]:
    """Yield the ends or the choices of one entry of a space, checked for their form."""
    ((kind, given),) = space.items()
    assert kind in ("log", "uniform", "int", "choice")
    if kind != "choice":
        low, high = given
        assert low < high
        assert low > 0 or kind != "log"
        assert kind != "int" or (isinstance(low, int) and isinstance(high, int))
    assert len(given) == len({repr(value) for value in given}) >= 2
    yield from given


@pytest.mark.parametrize("name", MODELS)
def test_spaces_name_arguments_and_hold_the_defaults(name: str) -> None:
    node = written("model", name)
    told = node["_about_"]
    for path, entry in told["space"].items():
        assert takes(node, path.split(".")), f"{name}: {path} is no argument"
        ends = list(values_of(entry))
        value: Any = node
        for key in path.split("."):
            value = value[key] if key in value else parameters_of(value[TARGET])[key].default
        inside = value in ends if "choice" in entry else ends[0] <= value <= ends[1]
        assert inside, f"{name}: {path}={value} lies outside of its space"
    grid = told.get("grid", {})
    assert math.prod(map(len, grid.values())) <= 12
    assert set(grid) <= set(told["space"])
    assert bool(grid) == bool(told["space"])
    for path, choices in grid.items():
        ends = list(values_of(told["space"][path]))
        for value in choices:
            held = value in ends if "choice" in told["space"][path] else ends[0] <= value <= ends[1]
            assert held, f"{name}: {path}={value} of the grid lies outside of the space"


@pytest.mark.parametrize("name", MODELS)
def test_every_value_of_the_grid_builds(name: str) -> None:
    for path, choices in about("model", name).get("grid", {}).items():
        *way, last = path.split(".")
        for value in choices:
            node = written("model", name)
            if node.get("features") == "${features}":
                node["features"] = written("features", "word")
            inner = node
            for key in way:
                inner = inner[key]
            inner[last] = value
            assert build(node, path="model") is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", FITTED)
def test_every_model_keeps_to_the_contract(name: str) -> None:
    findings = check_model(*parts(composed(f"model={name}", *SMALL.get(name, ()))))
    assert not [str(item) for item in findings if item.severity == "error"]
    assert {item.check for item in findings} == NOTES.get(name, set())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_model_keeps_to_the_contract_as_it_is(
    name: str, require: Callable[[bool, str], None]
) -> None:
    if name == "mlp":
        there = importlib.util.find_spec("sentence_transformers") is not None
        require(there, "its features are embeddings: pip install 'sitrepbench[embeddings]'")
    findings = check_model(*parts(composed(f"model={name}")))
    assert not [str(item) for item in findings]


@pytest.mark.slow
@pytest.mark.parametrize("name", FITTED)
def test_labels_are_the_same_on_any_number_of_threads(name: str) -> None:
    frame, y = example_sentences()
    model, features = parts(composed(f"model={name}", *SMALL.get(name, ())))
    pipeline = build_pipeline(features, model)
    pipeline.set_params(**dict.fromkeys(unset_seeds(pipeline), 7))
    said = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            fitted = clone(pipeline).fit(frame[:180], y[:180])
            rows = frame[180:].reset_index(drop=True)
            said.append(predict(fitted, rows, n_rows=60, labels=tuple(sorted(set(y)))))
    assert list(said[0][0]) == list(said[1][0])
    np.testing.assert_allclose(said[0][1], said[1][1], atol=1e-4)
    probabilities = about("model", name)["probabilities"]
    assert hasattr(fitted, "predict_proba") == probabilities
    assert np.isfinite(said[0][1]).all() == probabilities
    # It has learned something, unless it is not meant to.
    right = float(np.mean(said[0][0] == y[180:]))
    floors = ("majority", "majority_background", "chance")
    assert right < 0.4 if name in floors else right > 0.5


#: What models say of training data that do not suffice; execution adds the model and the cell.
TOLD = (
    "one class",
    "1 class",
    "class labels",
    "of two labels at least",
    "features.n_components=",
    "n_neighbors <= n_samples",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("one_label", [False, True])
def test_few_sentences_and_one_label_are_survived_or_told(name: str, one_label: bool) -> None:
    frame, y = example_sentences(3)
    labels = np.full(len(y), "denial", dtype=object) if one_label else y
    pipeline = build_pipeline(*reversed(parts(composed(f"model={name}", *SMALL.get(name, ())))))
    pipeline.set_params(**dict.fromkeys(unset_seeds(pipeline), 7))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # execution notes them on the run
        try:
            said = set(pipeline.fit(frame, labels).predict(frame))
        except (ModelError, ValueError) as error:
            told = str(error)
            if not any(words in told for words in TOLD):
                raise
            return
    assert said <= ({*LABELS} if name in NOTES else set(labels))


@pytest.mark.parametrize("name", ["bernoulli_nb", "multinomial_nb", "nbsvm"])
def test_models_bring_features_that_suit_them(name: str) -> None:
    assert composed(f"model={name}").names["features"] == "word_count"
    assert composed(f"model={name}", "features=hashing").names["features"] == "hashing"


def test_models_that_read_sentences_take_the_features_that_are_chosen() -> None:
    config = composed("model=crf", "features=word", "features.min_df=5")
    assert config.tree["model"]["features"]["min_df"] == 5
    model = config.build("model")
    assert model.features.transformers[0][1].min_df == 5
