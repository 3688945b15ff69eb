"""Every study of experiments/ composes, says what it asks and what it sweeps, and runs."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import textwrap
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from sitrepbench.cli import main
from sitrepbench.config.compose import compose_with, hydra_session, master_config
from sitrepbench.config.run_config import RunConfig
from sitrepbench.config.sweeping import JobComposer
from sitrepbench.preparing import forget_data
from sitrepbench.protocols import LearningCurve, LeaveOneOut
from sitrepbench.resources import resource_folder

REPOSITORY = Path(__file__).resolve().parents[2]
STUDIES = sorted(file.stem for file in resource_folder("experiments").glob("*.yaml"))
MODELS = sorted(file.stem for file in (resource_folder("conf") / "model").glob("*.yaml"))
#: Models that take minutes where others take seconds.
DEAR = {"crf", "hist_gradient_boosting", "logistic_elastic_net", "random_forest", "stacking",
        "voting"}  # fmt: skip
#: Models that an extra is needed for: rows of `pretrained`, not of `baselines`.
PRETRAINED = {"finetuned", "label_description", "mlp"}
#: What makes a study small; its own data, splits, models and features stay.
TINY = {
    "baselines": ["tuner.trials=1", "tuner.n_folds=2"],
    "features": ["features=word,cues,everything,no_words,no_chars"],
    "learning_curve": ["protocol.documents=4,8,null", "protocol.n_repeats=2"],
    "cross_conflict": [],
    "cross_register": [],
    "real_text": [],
    "seeds": [],
    "humaid": ["tuner.grid={C: [0.1, 1.0]}"],
    "pretrained": ["tuner.trials=1", "tuner.n_folds=2", "model=label_description,knn,mlp"],
    "pretrained_features": ["tuner.trials=1", "tuner.n_folds=2"],
    "finetuned": ["model=finetuned", "model.epochs=1", "model.dev_share=0", "model.tuned_layers=1"],
}
#: Runs of each study as committed.
SIZES = {
    "baselines": 23,
    "features": 24,
    "learning_curve": 20,
    "cross_conflict": 8,
    "cross_register": 8,
    "real_text": 6,
    "seeds": 2,
    "humaid": 6,
    "pretrained": 7,
    "pretrained_features": 6,
    "finetuned": 3,
}


def source(study: str) -> str:
    return (resource_folder("experiments") / f"{study}.yaml").read_text(encoding="utf-8")


def swept(study: str) -> dict[str, list[str]]:
    """Return what a study sweeps: the overrides of each of its axes."""
    params = yaml.safe_load(source(study))["hydra"]["sweeper"]["params"]
    axes = {}
    for key, values in params.items():
        (parsed,) = OverridesParser.create().parse_overrides([f"{key}={values}"])
        axes[key] = [f"{key}={value}" for value in parsed.sweep_string_iterator()]
    return axes


@lru_cache
def jobs(study: str) -> tuple[RunConfig, ...]:
    """Return the checked configurations of all runs of a study."""
    combinations = itertools.product(*swept(study).values())
    with hydra_session() as hydra:
        composer = JobComposer(hydra.config_loader, master_config(hydra.config_loader))
        return tuple(composer.compose([[f"experiments={study}", *job] for job in combinations]))


def test_every_study_is_known_to_these_tests() -> None:
    assert set(TINY) == set(SIZES) == set(STUDIES)


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_begins_with_its_question_and_its_command(study: str) -> None:
    package, question, *rest = source(study).splitlines()
    assert package == "# @package _global_"
    assert question.startswith("# Question: ")
    comment = list(itertools.takewhile(lambda line: line.startswith("#"), rest))
    assert f"# Command:  sitrepbench run experiments={study}" in comment
    assert any(line.endswith("?") for line in (question, *comment))


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_a_study_composes_for_every_run_of_its_sweep(study: str) -> None:
    with hydra_session() as hydra:
        composed = compose_with(hydra, [f"experiments={study}"], run_mode=RunMode.MULTIRUN)
    assert composed.hydra.mode == RunMode.MULTIRUN
    runs = jobs(study)
    assert len(runs) == SIZES[study]
    assert {run.study for run in runs} == {study}
    told = [json.dumps([run.tree[name] for name in ("dataset", "protocol", "features", "model")])
            for run in runs]  # fmt: skip
    assert len(set(told)) == len(told)


@pytest.mark.slow
def test_baselines_are_all_models_each_with_its_features_and_the_same_budget() -> None:
    runs = {run.names["model"]: run for run in jobs("baselines")}
    assert sorted(runs) == sorted({*MODELS} - PRETRAINED)
    tuners = {json.dumps(run.tree["tuner"], sort_keys=True) for run in runs.values()}
    assert len(tuners) == 1
    assert runs["nbsvm"].names["tuner"] == "random"
    assert runs["nbsvm"].names["features"] == "word_count"
    assert runs["hist_gradient_boosting"].names["features"] == "lsa"
    assert runs["linear_svm"].names["features"] == "word_char"
    assert runs["nbsvm"].tree["protocol"]["score"] == ["dev", "test", "test_ood"]
    assert runs["nbsvm"].tree["protocol"]["train"] == ["train"]


def about(model: str) -> dict[str, Any]:
    content = yaml.safe_load((resource_folder("conf") / "model" / f"{model}.yaml").read_text())
    node: dict[str, Any] = content["_about_"]
    return node


@pytest.mark.slow
def test_dear_models_are_in_baselines_only() -> None:
    dear = {name for name in MODELS if about(name)["cost"] == "dear"}
    assert dear - PRETRAINED == DEAR
    for study in set(STUDIES) - {"baselines"}:
        assert not {run.names["model"] for run in jobs(study)} & DEAR


def test_only_declared_studies_read_a_test_split() -> None:
    declared = {name for name in STUDIES if yaml.safe_load(source(name)).get("final_test")}
    assert declared == {
        "baselines",
        "real_text",
        "seeds",
        "humaid",
        "pretrained",
        "pretrained_features",
        "finetuned",
    }


@pytest.mark.slow
def test_the_ablation_takes_away_one_kind_of_feature_at_a_time() -> None:
    features = {run.names["features"]: run.tree["features"] for run in jobs("features")}
    whole = features["everything"]
    assert whole["features"] == {
        name: value for name, value in features["word_char_cues"].items() if name != "_about_"
    }
    kinds = {"words": "word_tfidf", "chars": "char_tfidf", "cues": "HandMadeCues"}
    for gone in ("words", "chars"):
        node = features[f"no_{gone}"]
        targets = {
            part["_target_"].rpartition(".")[2] for _, part in node["features"]["transformer_list"]
        }
        assert targets == {target for kind, target in kinds.items() if kind != gone}
    for name in ("no_words", "no_chars", "context"):
        for key in ("_target_", "previous", "next"):
            assert features[name][key] == whole[key]


def test_learning_curves_go_from_20_documents_to_all_in_five_draws() -> None:
    protocols = [run.build("protocol") for run in jobs("learning_curve")]
    assert {protocol.documents for protocol in protocols} == {20, 40, 80, 160, None}
    assert all(isinstance(one, LearningCurve) and one.n_repeats == 5 for one in protocols)


@pytest.mark.parametrize(
    ("study", "by"), [("cross_conflict", "domain"), ("cross_register", "register")]
)
def test_cross_studies_leave_one_out_beside_a_control(study: str, by: str) -> None:
    protocols = {run.build("protocol") for run in jobs(study)}
    assert protocols == {LeaveOneOut(by=by, control=control) for control in (False, True)}


@pytest.fixture
def run_study(
    make_table: Callable[..., Path],
    make_humaid: Callable[[Path, Sequence[str]], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., list[dict[str, Any]]]:
    """Run a study's sweep on a small table, and return the records of its runs."""
    # Under another name a study's sweep may not read the test split of another table.
    monkeypatch.setattr("sitrepbench.sweep.session.check_looks", lambda runs: None)
    table = make_table("mine", n_documents=48, seed=1)
    other = make_table("other", n_documents=4, seed=2, splits=False)

    def call(study: str, given: Sequence[str]) -> list[dict[str, Any]]:
        forget_data()
        # Under another name, so that the study's own declared look is not what is used.
        arguments = [
            "study=tiny",
            "executor=serial",
            "tracking=none",
            f"results_dir={tmp_path / 'results'}",
            *given,
        ]
        if study == "humaid":
            events = [text.partition("=")[2] for text in swept(study)["dataset.event"]]
            arguments.append(f"dataset.path={make_humaid(tmp_path / 'humaid', events)}")
        else:
            arguments += ["dataset=table", f"dataset.path={table}"]
        if study == "real_text":
            arguments += ["dataset@protocol.target=table", f"protocol.target.path={other}"]
        else:
            arguments.append("unlock.reason='a test'")
        code = main(["run", f"experiments={study}", *arguments])
        told = capsys.readouterr()
        assert code == 0, told.err
        return [
            json.loads(file.read_text(encoding="utf-8"))
            for file in (tmp_path / "results" / "runs").glob("*/record.json")
        ]

    return call


def parts(records: Sequence[dict[str, Any]]) -> set[str]:
    return {part for record in records for part in record["scores"]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "runs", "wanted"),
    [
        ("features", 10, {"dev"}),
        ("learning_curve", 12, {"dev"}),
        ("cross_conflict", 8, {"cv"}),
        ("cross_register", 8, {"cv"}),
        ("real_text", 6, {"all"}),
        ("seeds", 2, {"all"}),
        ("humaid", 6, {"test"}),
        ("pretrained", 3, {"dev", "test", "test_ood"}),
        ("pretrained_features", 6, {"dev", "test", "test_ood"}),
        ("finetuned", 1, {"dev", "test", "test_ood"}),
        ("baselines", 23, {"dev", "test", "test_ood"}),
    ],
)
def test_a_study_runs_on_a_tiny_dataset(
    run_study: Callable[..., list[dict[str, Any]]],
    study: str,
    runs: int,
    wanted: set[str],
    require: Callable[[bool, str], None],
) -> None:
    if study.startswith(("pretrained", "finetuned")):
        there = importlib.util.find_spec("sentence_transformers") is not None
        require(there, "it needs the extra: pip install 'sitrepbench[embeddings]'")
    records = run_study(study, TINY[study])
    assert len(records) == runs
    assert parts(records) == wanted
    assert {record["study"] for record in records} == {"tiny"}


def docs() -> str:
    return (REPOSITORY / "docs" / "studies.md").read_text(encoding="utf-8")


def test_the_docs_list_every_study_with_its_number_of_runs() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", docs(), flags=re.MULTILINE)
    assert {name: int(runs) for name, runs in rows} == SIZES


def test_the_study_of_ones_own_in_the_docs_composes(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (block,) = re.findall(r"(?:^ {4}.*\n|^\n)*^ {4}# @package(?:.*\n)*?(?=^\S)", docs(), re.M)
    text = textwrap.dedent(block)
    (tmp_path / "experiments" / "stance.yaml").write_text(text, encoding="utf-8")
    with hydra_session([tmp_path]) as hydra:
        composed = compose_with(hydra, ["experiments=stance"], run_mode=RunMode.MULTIRUN)
    assert composed.study == "stance"
    assert composed.dataset.path == "my.csv"
    assert dict(composed.hydra.sweeper.params) == {
        "model": "nbsvm,linear_svm",
        "protocol.n_folds": "5,10",
    }
