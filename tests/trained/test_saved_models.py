"""Which of the program's models skops can keep: all but those that are told here."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import pytest

from sitrepbench.errors import ModelError
from sitrepbench.resources import resource_folder
from sitrepbench.trained.fitting import fit_on_all
from sitrepbench.trained.serialised import from_skops, to_skops
from sitrepbench.trained.trusted import TRUSTED

#: What has to be trusted by name, for compiled code follows its numbers unchecked.
TREES = {
    "random_forest": "sklearn.tree._tree.Tree",
    "hist_gradient_boosting": ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"),
}
#: What needs a package beyond the core, and is tested with it.
EXTRAS = {"finetuned", "setfit", "label_description", "mlp"}
SETTINGS = {
    "hist_gradient_boosting": ["features=lsa", "features.min_df=1", "features.n_components=4"],
    "random_forest": ["features=word", "features.min_df=1", "model.n_estimators=3"],
}
#: Models that take several seconds.
LONG = ("hist_gradient_boosting", "voting", "calibrated_svm", "stacking")
MODELS = sorted(
    file.stem
    for file in (resource_folder("conf") / "model").glob("*.yaml")
    if file.stem not in EXTRAS
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in MODELS]
)
def test_a_model_of_the_program_can_be_kept(name: str, prepared: Any) -> None:
    run = prepared(f"model={name}", *SETTINGS.get(name, ["features=word", "features.min_df=1"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = fit_on_all(run.plan, run.pipeline).pipeline
    if name in TREES:
        with pytest.raises(ModelError, match="crafted file can crash"):
            to_skops(fitted)
    trust = [TREES[name]] if name in TREES else []
    data = to_skops(fitted, trust=trust)
    loaded = from_skops(data, trust=trust, where="memory")
    assert type(loaded.steps[-1][1]) is type(fitted.steps[-1][1])


def test_every_type_on_the_list_exists() -> None:
    for name in TRUSTED:
        module, _, kind = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), kind)), name
