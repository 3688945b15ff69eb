"""`sitrepbench.run`: the same runs as the command line's, from Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.svm import LinearSVC

import sitrepbench
from sitrepbench import api
from sitrepbench.config.objects import object_node
from sitrepbench.config.session_code import session_digests
from sitrepbench.errors import ConfigError, DataError, TrackingError
from sitrepbench.models.example import example_sentences
from sitrepbench.resources import resource_folder

QUICK = ("tracking=none", "protocol.n_folds=2")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    sentences, labels = example_sentences(12)
    return sentences.assign(label=labels)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "my results"


def test_importing_the_package_stays_light() -> None:
    script = (
        "import sys, sitrepbench\n"
        "assert {'run', 'Result'} <= set(dir(sitrepbench))\n"
        "heavy = {'mlflow', 'sklearn', 'pandas', 'numpy', 'hydra'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sitrepbench.run is api.run
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = sitrepbench.runn  # type: ignore[attr-defined]


def test_a_run_is_computed_once_and_then_taken(frame: pd.DataFrame, store: Path) -> None:
    given: dict[str, Any] = {"dataset": frame, "results_dir": store, "features": "word"}
    result = sitrepbench.run(*QUICK, "model.alpha=0.5", model="complement_nb", **given)
    assert not result.cached
    assert result.scores["cv"]["macro_f1"] == result.summaries["cv"].metrics["macro_f1"] > 0.3
    assert sorted(result.predictions["sentence_id"]) == sorted(frame["sentence_id"])
    assert result.record.config["model"]["alpha"] == 0.5
    assert "macro-F1" in repr(result)
    assert len(repr(result)) < 120
    again = sitrepbench.run(*QUICK, "model.alpha=0.5", model="complement_nb", **given)
    assert again.cached
    assert again.summaries["cv"].metrics == result.summaries["cv"].metrics
    assert (store / "runs" / result.record.key).is_dir()


def test_a_frame_is_kept_beside_its_runs(frame: pd.DataFrame, store: Path) -> None:
    given: dict[str, Any] = {"model": "complement_nb", "features": "word", "results_dir": store}
    result = sitrepbench.run(*QUICK, dataset=frame, **given)
    kept = Path(result.record.config["dataset"]["path"])
    assert kept.parent == store / "tables"
    assert result.record.dataset["name"] == "frame"
    # The file gives the same run, and so does the frame under other row labels.
    assert sitrepbench.run(*QUICK, dataset=kept, **given).record.key == result.record.key
    shuffled = frame.set_index(frame.index + 7)
    assert sitrepbench.run(*QUICK, dataset=shuffled, **given).cached
    assert [file.name for file in kept.parent.iterdir()] == [kept.name]
    other = sitrepbench.run(*QUICK, dataset=frame.assign(text=frame["text"] + "!"), **given)
    assert other.record.key != result.record.key


def test_a_frame_that_cannot_be_kept_is_told(frame: pd.DataFrame, store: Path) -> None:
    odd = frame.assign(extra=[object()] * len(frame))
    with pytest.raises(DataError, match="cannot be kept as a table"):
        sitrepbench.run(*QUICK, dataset=odd, results_dir=store)
    with pytest.raises(DataError, match="label"):
        sitrepbench.run(
            *QUICK,
            model="complement_nb",
            features="word",
            dataset=frame.drop(columns="label"),
            results_dir=store,
        )
    # What is refused leaves nothing behind.
    assert not store.exists()


def test_a_dataset_is_a_name_a_table_or_a_card(frame: pd.DataFrame, store: Path) -> None:
    look = ("protocol=score", "tracking=none", "unlock.reason=a test")
    rules: dict[str, Any] = {"model": "keyword_rules", "results_dir": store}
    named = sitrepbench.run(*look, dataset="seeds", **rules)
    carded = sitrepbench.run(*look, dataset=resource_folder("seeds"), **rules)
    assert carded.record.key == named.record.key
    assert carded.cached
    table = store / "it's mine.csv"
    frame.to_csv(table, index=False)
    result = sitrepbench.run(*look, dataset=str(table), **rules)
    assert result.record.dataset["sentences"] == len(frame)
    with pytest.raises(ConfigError, match="no such dataset and no such file. Known: .*seeds"):
        sitrepbench.run(*look, dataset="sedes", **rules)


@pytest.mark.slow
def test_an_object_is_the_same_run_as_its_yaml(frame: pd.DataFrame, store: Path) -> None:
    given: dict[str, Any] = {"dataset": frame, "features": "word", "results_dir": store}
    model = LinearSVC(C=0.3, class_weight="balanced")
    result = sitrepbench.run(*QUICK, model=model, **given)
    assert result.record.names["model"] == "LinearSVC"
    assert sitrepbench.run(*QUICK, model="linear_svm", **given).record.key == result.record.key
    # Overrides reach it, as they reach a file.
    changed = sitrepbench.run(*QUICK, "model.C=0.5", model=model, **given)
    assert changed.record.config["model"]["C"] == 0.5


@pytest.mark.slow
def test_classes_of_ones_own_are_run(frame: pd.DataFrame, store: Path) -> None:
    result = sitrepbench.run(
        *QUICK, model=OwnBayes, features=OwnWords(most=200), dataset=frame, results_dir=store
    )
    assert result.record.config["features"]["most"] == 200
    (module,) = {name.rpartition(".")[0] for name in result.record.key_parts["own_code"]}
    assert module == __name__


class OwnBayes(ComplementNB):
    """A class of a module."""


class OwnWords(TransformerMixin, BaseEstimator):
    """Features of a module."""

    def __init__(self, most: int = 100) -> None:
        self.most = most

    def fit(self, X: pd.DataFrame, y: Any = None) -> Any:
        self.counter_ = CountVectorizer(max_features=self.most).fit(X["text"])
        return self

    def transform(self, X: pd.DataFrame) -> Any:
        return self.counter_.transform(X["text"])


def test_an_object_becomes_what_a_file_would_say() -> None:
    assert object_node(ComplementNB, what="model") == {
        "_target_": "sklearn.naive_bayes.ComplementNB"
    }
    nested = object_node(OneVsRestClassifier(LinearSVC(C=np.float64(2.0))), what="model")
    assert nested == {
        "_target_": "sklearn.multiclass.OneVsRestClassifier",
        "estimator": {"_target_": "sklearn.svm.LinearSVC", "C": 2.0},
    }
    counts = object_node(CountVectorizer(ngram_range=(1, 2)), what="features")
    assert counts["ngram_range"] == {"_target_": "builtins.tuple", "_args_": [[1, 2]]}
    assert set(counts) == {"_target_", "ngram_range"}


def test_for_a_tuner_an_object_keeps_what_is_at_its_defaults() -> None:
    node = object_node(OneVsRestClassifier(LinearSVC()), what="model", defaults=True)
    assert node["estimator"]["C"] == 1.0
    assert node["n_jobs"] is None
    counts = object_node(CountVectorizer(), what="features", defaults=True)
    assert "dtype" not in counts  # a class has no plain form
    assert counts["min_df"] == 1
    assert object_node(ComplementNB, what="model", defaults=True)["alpha"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("model", [ComplementNB(), ComplementNB])
def test_an_object_at_its_defaults_is_tuned(model: Any, frame: pd.DataFrame, store: Path) -> None:
    given: dict[str, Any] = {"dataset": frame, "features": "word", "results_dir": store}
    search = ("tuner=grid", "tuner.n_folds=2", "tuner.grid={alpha: [0.1, 1.0]}")
    tuned = sitrepbench.run(*QUICK, *search, model=model, **given)
    assert tuned.record.config["model"]["alpha"] == 1.0
    # Without a tuner the key is that of the file which says nothing of defaults.
    for words in ((), ("tuner=none",)):
        plain = sitrepbench.run(*QUICK, *words, model=model, **given)
        assert plain.record.config["model"] == {"_target_": "sklearn.naive_bayes.ComplementNB"}


def test_tuples_and_nested_estimators_are_built_again(frame: pd.DataFrame, store: Path) -> None:
    result = sitrepbench.run(
        *QUICK,
        model=CalibratedClassifierCV(LinearSVC(C=0.5), cv=2),
        features=CountVectorizer(ngram_range=(1, 2)),
        dataset=frame,
        results_dir=store,
    )
    assert "log_loss" in result.scores["cv"]


def _local() -> type:
    class Local(ComplementNB):
        pass

    return Local


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (CountVectorizer(tokenizer=str.split), "model.tokenizer: method_descriptor"),
        (LinearSVC(class_weight={1: 0.5}), "model.class_weight: dict"),
        (LinearSVC(C=float("nan")), "model.C: float nan has no plain form"),
        (OwnWords(most="${seed}"), "model.most: str"),  # type: ignore[arg-type]
        (_local(), "is defined inside a function"),
        (_local()(), "is defined inside a function"),
        (3, "model=3: expected the name of a choice, a class, or an estimator"),
    ],
)
def test_what_has_no_plain_form_is_refused(model: Any, said: str, store: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        sitrepbench.run(model=model, dataset="sitrep", results_dir=store)
    assert said in str(caught.value)
    assert not store.exists()


def test_an_object_of_a_class_that_was_defined_anew_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stale = OwnBayes()
    fresh = type("OwnBayes", (ComplementNB,), {"__module__": __name__})
    monkeypatch.setattr(sys.modules[__name__], "OwnBayes", fresh)
    with pytest.raises(ConfigError, match="is another class by now"):
        object_node(stale, what="model")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model=linear_svm,nbsvm"], "computes one configuration"),
        (["experiments=seeds"], "computes one configuration"),
        (["executor=slurm"], "computes in this process"),
        (["executor.time_limit=5"], "executor.time_limit is for sweeps"),
        (["model.c=1"], "Did you mean model.C=1?"),
    ],
)
def test_what_one_process_cannot_do_is_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sitrepbench.run("dataset=sitrep", *overrides)
    assert said in str(caught.value)


def test_what_mlflow_refuses_is_a_warning(
    frame: pd.DataFrame, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(done: Any) -> int:
        raise TrackingError("the database is locked")

    monkeypatch.setattr(api, "log_finished", refuse)
    with pytest.warns(RuntimeWarning, match="the database is locked"):
        result = sitrepbench.run(
            *QUICK, model="complement_nb", features="word", dataset=frame, results_dir=store
        )
    assert result.scores


@pytest.mark.slow
def test_a_run_is_logged(frame: pd.DataFrame, store: Path) -> None:
    from sitrepbench.tracking.log import missing_keys
    from sitrepbench.tracking.settings import tracking_settings
    from sitrepbench.tracking.stores import open_store

    given: dict[str, Any] = {"model": "complement_nb", "features": "word", "results_dir": store}
    result = sitrepbench.run("protocol.n_folds=2", "study=mine", dataset=frame, **given)
    with open_store(tracking_settings(store, "mine")) as logged:
        assert missing_keys([result.record.key], logged) == []


SESSION = """
FACTOR = 2
TABLE = {"a": 1}
def helper(x):
    return x * FACTOR
class Base:
    def shared(self):
        return 1
class Mine(Base):
    kind = "plain"
    def fit(self, X, y):
        # a comment
        return [helper(x) for x in X], TABLE
    @property
    def three(self):
        return 3
"""


def typed(code: str) -> dict[str, str]:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, "<cell>", "exec"), names)
    return session_digests(names["Mine"])


def test_a_sessions_class_counts_with_what_it_uses() -> None:
    told = typed(SESSION)
    assert set(told) == {"Mine", "Base", "helper"}
    assert typed(SESSION) == told
    assert typed("\n\n" + SESSION.replace("# a comment", "# another")) == told


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("FACTOR = 2", "FACTOR = 3", {"helper"}),
        ('{"a": 1}', '{"a": 2}', {"Mine"}),
        ("x * FACTOR", "x + FACTOR", {"helper"}),
        ("return 1", "return 2", {"Base"}),
        ('"plain"', '"odd"', {"Mine"}),
        ("return 3", "return 4", {"Mine"}),
        ("for x in X]", "for x in X[1:]]", {"Mine"}),
    ],
)
def test_a_change_in_a_session_is_seen(old: str, new: str, changed: set[str]) -> None:
    before, after = typed(SESSION), typed(SESSION.replace(old, new))
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.slow
def test_a_session_without_files_runs(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "mine.csv", index=False)
    script = (
        "import sitrepbench\n"
        "from sklearn.naive_bayes import ComplementNB\n"
        "class Mine(ComplementNB):\n"
        "    pass\n"
        "result = sitrepbench.run('tracking=none', 'protocol.n_folds=2', model=Mine,\n"
        "    features='word', dataset='mine.csv', results_dir='results')\n"
        "print(result.cached, sorted(result.record.key_parts['own_code']['__main__.Mine']))\n"
    )

    def call() -> str:
        done = subprocess.run(
            [sys.executable, "-"], input=script, capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert call() == "False ['Mine']\n"
    # Another process finds it again: what was typed is told the same way in both.
    assert call() == "True ['Mine']\n"
