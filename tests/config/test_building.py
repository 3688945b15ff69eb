"""Objects that are built by a call are those that Hydra's instantiate makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st

from sitrepbench.config import building
from sitrepbench.config.building import build
from sitrepbench.errors import ConfigError

NODES: list[dict[str, Any]] = [
    {"_target_": "sklearn.svm.LinearSVC", "C": 0.5, "class_weight": {"denial": 2}},
    {"_target_": "sklearn.naive_bayes.ComplementNB", "alpha": 1, "norm": True},
    {"_target_": "sitrepbench.models.MajorityClass", "label": "denial"},
    {"_target_": "sitrepbench.features.word_char_tfidf", "word_ngrams": [1, 2], "min_df": 3},
    {"_target_": "sitrepbench.protocols.GroupedCV", "n_folds": 4},
    {"_target_": "sitrepbench.protocols.Official", "train": ["train"], "score": ["dev"]},
    {
        "_target_": "sklearn.feature_extraction.text.TfidfVectorizer",
        "ngram_range": [1, 3],
        "stop_words": ["the", "a"],
    },
]


def by_hydra(node: dict[str, Any]) -> Any:
    return instantiate(building._fit_types(building.without_own_keys(node)), _convert_="all")


def content(made: Any) -> Any:
    """Return all that an object consists of, with types."""
    if hasattr(made, "get_params"):
        return type(made), [(k, content(v)) for k, v in sorted(made.get_params(deep=False).items())]
    if isinstance(made, list | tuple):
        return type(made), [content(item) for item in made]
    if isinstance(made, dict):
        return type(made), [(key, content(value)) for key, value in made.items()]
    return (type(made), content(vars(made))) if hasattr(made, "__dict__") else (type(made), made)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The targets that Hydra builds, from now on."""
    monkeypatch.setattr(building, "_AGREED", set())
    seen: list[str] = []

    def counted(node: Any, **options: Any) -> Any:
        seen.append(node["_target_"])
        return instantiate(node, **options)

    monkeypatch.setattr(building, "instantiate", counted)
    return seen


@pytest.mark.parametrize("node", NODES, ids=lambda node: node["_target_"].rpartition(".")[2])
def test_the_second_of_a_kind_is_built_by_a_call_and_is_the_same(
    node: dict[str, Any], calls: list[str]
) -> None:
    first, second = build(node, path="x"), build({**node, "_about_": {"short": "y"}}, path="x")
    assert len(calls) == 1
    assert second is not first
    assert content(first) == content(second) == content(by_hydra(node))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(["${seed}", "???", "${oc.env:HOME}", "\\${x}", "_target_"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(value=VALUES)
def test_any_value_is_handed_over_as_hydra_does(value: Any) -> None:
    node = {"_target_": "sitrepbench.protocols.Score", "score": value}
    results = []
    build({"_target_": "sitrepbench.protocols.Score", "score": None}, path="protocol")
    for make in (lambda: build(node, path="protocol"), lambda: by_hydra(node)):
        try:
            results.append(content(make()))
        except Exception:
            results.append("refused")
    assert results[0] == results[1]


def test_a_call_keeps_nothing_of_the_configuration(calls: list[str]) -> None:
    node = {"_target_": "sklearn.svm.LinearSVC", "class_weight": {"denial": 2}}
    build(node, path="model")
    build(node, path="model").class_weight["denial"] = 3
    assert node["class_weight"] == {"denial": 2}


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "sitrepbench.tracking.settings.tracking_settings", "_partial_": True},
        {"_target_": "builtins.dict", "a": 1},
        {
            "_target_": "sklearn.pipeline.Pipeline",
            "steps": [["clf", {"_target_": "sklearn.svm.LinearSVC"}]],
        },
    ],
    ids=lambda node: node["_target_"],
)
def test_what_is_more_than_a_call_is_left_to_hydra(node: dict[str, Any], calls: list[str]) -> None:
    for _ in range(2):
        build(node, path="x")
    assert len(calls) == 2


def test_a_refusal_is_told_in_the_same_words_the_second_time(calls: list[str]) -> None:
    good = {"_target_": "sitrepbench.features.word_tfidf", "ngram_range": [1, 2]}
    build(good, path="features")
    told = set()
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            build({**good, "ngram_range": [2, 1]}, path="features")
        told.add(str(caught.value))
    assert len(told) == 1


def test_values_are_checked_each_time_they_are_new(calls: list[str]) -> None:
    for value in (1.0, 2.0):
        build({"_target_": "sklearn.svm.LinearSVC", "C": value}, path="model")
    for _ in range(2):
        with pytest.raises(ConfigError, match="'C' parameter of LinearSVC"):
            build({"_target_": "sklearn.svm.LinearSVC", "C": -1.0}, path="model")


def test_a_class_that_is_loaded_anew_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib
    import sys

    module = tmp_path / "freshmodels.py"
    text = "from sklearn.svm import LinearSVC\nclass Mine(LinearSVC):\n    version = 1\n"
    module.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    node = {"_target_": "freshmodels.Mine", "C": 1.0}
    assert [build(node, path="model").version for _ in range(2)] == [1, 1]
    module.write_text(text.replace("version = 1", "version = 200"), encoding="utf-8")
    importlib.invalidate_caches()
    importlib.reload(sys.modules["freshmodels"])
    assert build(node, path="model").version == 200
    sys.modules.pop("freshmodels")
