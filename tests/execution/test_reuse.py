"""Fitted features are reused, and nothing comes out differently for it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer
from sklearn.random_projection import GaussianRandomProjection
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from sitrepbench.config.run_config import build
from sitrepbench.data.dataset import Dataset
from sitrepbench.errors import ModelError
from sitrepbench.execution import RunResult, execute
from sitrepbench.features import lsa, word_char_tfidf, word_tfidf
from sitrepbench.models.pipeline import build_pipeline, reads_frame, unset_seeds
from sitrepbench.protocols import GroupedCV, Plan
from sitrepbench.reuse import FittedFeatures
from sitrepbench.seeding import seed_for

CONF = Path(__file__).resolve().parents[2] / "conf"
#: One of each kind: sparse and dense, drawing and not, with and without probabilities.
SHIPPED = {
    "features": ["char", "cues", "hashing", "lsa", "none", "word", "word_char"],
    "model": [
        "complement_nb",
        "keyword_rules",
        "linear_svm",
        "logistic_regression",
        "majority",
        "majority_background",
        "sgd",
    ],
}


@pytest.fixture(scope="module")
def plan(dataset: Dataset) -> Plan:
    return GroupedCV(n_folds=2).plan(dataset)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1):
        yield


def shipped(group: str, name: str) -> Any:
    import yaml

    node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    # Which features a model brings along is composed by Hydra, and here all pairs are tried.
    node.pop("defaults", None)
    if "n_components" in node:
        node |= {"n_components": 20, "char_ngrams": [2, 3]}
    return build(node, path=group)


def whole(plan: Plan, pipeline: Pipeline, *, seed: int) -> pd.DataFrame:
    """What the pipelines give when each is fitted in one piece, as a user would."""
    blocks = []
    for cell in plan.cells:
        own = clone(pipeline)
        given = {
            name: seed_for("model", parameter=name, seed=seed, repeat=cell.repeat, fold=cell.fold)
            for name in unset_seeds(own)
        }
        own.set_params(**given)
        frame = plan.training.frame
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            own.fit(frame.iloc[cell.train], frame["label"].to_numpy(dtype=object)[cell.train])
            block = (
                frame[["sentence_id"]]
                .iloc[cell.test]
                .assign(predicted=own.predict(frame.iloc[cell.test]).astype(str))
            )
            if hasattr(own, "predict_proba"):
                given = own.predict_proba(frame.iloc[cell.test])
                for name, column in zip(own.classes_, given.T, strict=True):
                    block[f"p_{name}"] = column
        blocks.append(block)
    return pd.concat(blocks, ignore_index=True)


def assert_same(found: RunResult, expected: pd.DataFrame) -> None:
    frame = found.predictions.frame
    assert list(frame["sentence_id"]) == list(expected["sentence_id"])
    assert list(frame["predicted"]) == list(expected["predicted"])
    for column in found.predictions.probability_columns:
        if column in expected:
            # Features of single precision give probabilities of single precision.
            wanted = expected[column].to_numpy(dtype=np.float64)
            assert frame[column].to_numpy().tobytes() == wanted.tobytes()
        else:
            assert frame[column].isna().all()


SHIPPED_PAIRS = [
    (features, model)
    for features in SHIPPED["features"]
    for model in SHIPPED["model"]
    if features != "none" or reads_frame(shipped("model", model))
]


@pytest.mark.slow
@pytest.mark.parametrize(("features", "model"), SHIPPED_PAIRS)
def test_every_shipped_pair_gives_the_same_bytes_alone_first_and_second(
    plan: Plan, features: str, model: str
) -> None:
    unfitted = shipped("model", model)
    pipeline = build_pipeline(shipped("features", features), unfitted)
    fitted = FittedFeatures()
    if (features, model) == ("lsa", "complement_nb"):
        for _ in range(2):
            with pytest.raises(ModelError, match=r"ComplementNB failed .*Negative values"):
                execute(plan, pipeline, fitted=fitted, features_key="k")
        return
    alone = execute(plan, pipeline, seed=4)
    first = execute(plan, pipeline, seed=4, fitted=fitted, features_key="k")
    second = execute(plan, pipeline, seed=4, fitted=fitted, features_key="k")
    expected = whole(plan, pipeline, seed=4)
    for found in (alone, first, second):
        assert_same(found, expected)
        assert found.notes == alone.notes
    assert not alone.timings["reused"].any()
    assert not first.timings["reused"].any()
    assert second.timings["reused"].all() == (not reads_frame(unfitted))


class Scribbler(ClassifierMixin, BaseEstimator):
    """Changes its input in place, when fitted and when asked."""

    def fit(self, X: Any, y: Any) -> Scribbler:
        warnings.warn("about to write", stacklevel=1)
        self._scribble(X)
        self.model_ = LinearSVC(random_state=0).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X: Any) -> Any:
        self._scribble(X)
        return self.model_.predict(X)

    def _scribble(self, X: Any) -> None:
        values = X if isinstance(X, np.ndarray) else X.data
        values *= 1000.0
        values[: len(values) // 2] = 1.0


class Replacer(Scribbler):
    """Gives a sparse input other arrays, which read-only ones do not prevent."""

    def _scribble(self, X: Any) -> None:
        if not isinstance(X, np.ndarray):
            X.data = X.data * 1000.0
            X.data[: len(X.data) // 2] = 1.0


MODELS = [
    Scribbler(),
    Replacer(),
    LogisticRegression(solver="saga", max_iter=20),
    SGDClassifier(max_iter=5, tol=None),
    RidgeClassifier(),
    MultinomialNB(),
    SVC(),  # sorts the indices of a sparse matrix in place
    KNeighborsClassifier(),
    RandomForestClassifier(5),
    HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=3),
    Pipeline([("scale", MaxAbsScaler(copy=False)), ("model", LinearSVC())]),
    Pipeline([("scale", Normalizer(copy=False)), ("model", LinearSVC())]),
]
FEATURES = {
    "sparse": word_char_tfidf(min_df=1),
    "dense": lsa(20, char_ngrams=(2, 2)),
    "drawing": make_pipeline(word_tfidf(), GaussianRandomProjection(15)),
    "instance": make_pipeline(
        word_tfidf(), GaussianRandomProjection(15, random_state=np.random.RandomState(3))
    ),
    "supervised": make_pipeline(TfidfVectorizer(), SelectKBest(chi2, k=12)),
}


DENSE = ("dense", "drawing", "instance")
PAIRS = [
    pytest.param(features, model, id=f"{features}-{type(model).__name__}{number}")
    for features in FEATURES
    for number, model in enumerate(MODELS)
    if features in DENSE or not isinstance(model, HistGradientBoostingClassifier)
    if features not in DENSE or not isinstance(model, MultinomialNB)
]


@pytest.mark.slow
@pytest.mark.parametrize(("features", "model"), PAIRS)
def test_no_model_changes_what_is_kept_for_the_next(plan: Plan, features: str, model: Any) -> None:
    fitted = FittedFeatures()
    pipeline = build_pipeline(FEATURES[features], model)
    expected = whole(plan, pipeline, seed=2)
    runs = [execute(plan, pipeline, seed=2, fitted=fitted, features_key="k") for _ in range(2)]
    for run in runs:
        assert_same(run, expected)
    assert runs[1].timings["reused"].all()
    assert runs[0].notes == runs[1].notes == execute(plan, pipeline, seed=2).notes
    after = build_pipeline(FEATURES[features], LinearSVC())
    found = execute(plan, after, seed=2, fitted=fitted, features_key="k")
    assert found.timings["reused"].all()
    assert_same(found, whole(plan, after, seed=2))


def test_features_that_draw_are_shared_within_a_seed_only(plan: Plan) -> None:
    fitted = FittedFeatures()
    pipeline = build_pipeline(FEATURES["drawing"], KNeighborsClassifier())
    for seed, reused in [(1, False), (2, False), (1, True), (2, True)]:
        found = execute(plan, pipeline, seed=seed, fitted=fitted, features_key="k")
        assert (found.timings["reused"] == reused).all()
        assert_same(found, whole(plan, pipeline, seed=seed))


def test_the_models_seed_does_not_part_features_that_draw_nothing(plan: Plan) -> None:
    fitted = FittedFeatures()
    pipeline = build_pipeline(word_tfidf(), LinearSVC())
    execute(plan, pipeline, seed=1, fitted=fitted, features_key="k")
    assert execute(plan, pipeline, seed=2, fitted=fitted, features_key="k").timings["reused"].all()


def test_without_a_key_nothing_is_kept(plan: Plan) -> None:
    fitted = FittedFeatures()
    pipeline = build_pipeline(word_tfidf(), LinearSVC())
    execute(plan, pipeline, fitted=fitted)
    assert len(fitted) == 0
    execute(plan, pipeline, fitted=fitted, features_key="one")
    other = execute(plan, pipeline, fitted=fitted, features_key="two")
    assert len(fitted) == 4
    assert not other.timings["reused"].any()


def test_costs_are_counted_as_if_nothing_were_reused(plan: Plan) -> None:
    fitted = FittedFeatures()
    pipeline = build_pipeline(word_tfidf(), ComplementNB())
    first, second = (
        execute(plan, pipeline, fitted=fitted, features_key="k").timings for _ in range(2)
    )
    assert list(first["features_seconds"]) == list(second["features_seconds"])
    assert (first["features_seconds"] > 0).all()
    for timings in (first, second):
        assert (timings["fit_seconds"] > timings["features_seconds"]).all()
        assert (timings["predict_seconds"] > 0).all()


class Framed(TransformerMixin, BaseEstimator):
    """Features that come as a DataFrame, with a warning each time."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Framed:
        warnings.warn("", stacklevel=1)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        warnings.warn("slow\nvery slow", stacklevel=1)
        return pd.DataFrame({"length": X["text"].str.len(), "place": X["position"]})


class Arrayed(Framed):
    def transform(self, X: pd.DataFrame) -> Any:
        return super().transform(X).to_numpy()


@pytest.mark.parametrize(("features", "kept"), [(Framed(), False), (Arrayed(), True)])
def test_notes_are_the_same_and_what_cannot_be_kept_is_not(
    plan: Plan, features: Any, kept: bool
) -> None:
    fitted = FittedFeatures()
    pipeline = build_pipeline(features, LinearSVC())
    runs = [execute(plan, pipeline, fitted=fitted, features_key="k") for _ in range(2)]
    assert runs[1].timings["reused"].all() == kept
    assert runs[0].notes == runs[1].notes
    assert runs[0].notes[:2] == ("UserWarning:  (2 times)", "UserWarning: slow (4 times)")
    assert_same(runs[1], whole(plan, pipeline, seed=0))


def test_dear_features_come_back_from_the_disk(plan: Plan, tmp_path: Path) -> None:
    pipeline = build_pipeline(lsa(20, char_ngrams=(2, 2)), LogisticRegression(max_iter=500))

    def run(*, dear: bool) -> RunResult:
        fitted = FittedFeatures(folder=tmp_path)
        return execute(plan, pipeline, seed=6, fitted=fitted, features_key="k", dear=dear)

    first, cheap, dear = run(dear=True), run(dear=False), run(dear=True)
    assert not first.timings["reused"].any()
    assert not cheap.timings["reused"].any()
    assert dear.timings["reused"].all()
    assert list(dear.timings["features_seconds"]) == list(first.timings["features_seconds"])
    assert first.notes == dear.notes == ()
    expected = whole(plan, pipeline, seed=6)
    for found in (first, cheap, dear):
        assert_same(found, expected)


def test_a_disk_that_refuses_is_a_note(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    pipeline = build_pipeline(lsa(20, char_ngrams=(2, 2)), LinearSVC())
    fitted = FittedFeatures(folder=tmp_path)
    found = execute(plan, pipeline, fitted=fitted, features_key="k", dear=True)
    (note,) = found.notes
    assert note.startswith("features are not kept on disk: ")
    assert note.endswith("(2 times)")
    assert_same(found, whole(plan, pipeline, seed=0))


def test_fewer_dimensions_than_asked_for_is_told(plan: Plan) -> None:
    with pytest.raises(ModelError, match=r"fold 0: LSA cannot have 5000 .*features.n_components="):
        execute(plan, build_pipeline(lsa(5000), LinearSVC()))
