"""The folder of a trained model: the same answers, and nothing believed that was not checked."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline

from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import check_config
from sitrepbench.errors import ConfigError, DataError, ModelError
from sitrepbench.models.answers import predict
from sitrepbench.models.keywords import KeywordRules
from sitrepbench.models.pipeline import transform
from sitrepbench.preparing import PreparedRun, prepare
from sitrepbench.runs import obtain
from sitrepbench.store.results import ResultsStore
from sitrepbench.trained import TrainedModel, load_trained
from sitrepbench.trained.folder import check_output, write_folder
from sitrepbench.trained.serialised import to_skops
from sitrepbench.trained.training import Order, train

WORDS = ["features=word_count", "features.min_df=1"]
CASES = {
    "svm": ["model=linear_svm", "features=word_char", "features.min_df=1"],
    "calibrated": ["model=linear_svm", *WORDS, "calibrator=isotonic"],
    "tuned": ["model=linear_svm", *WORDS, "tuner=grid", "calibrator=temperature"],
    "nbsvm": ["model=nbsvm", *WORDS],
    "crf": ["model=crf", *WORDS],
    "rules": ["model=keyword_rules"],
    "voting": ["model=voting"],
    "context": ["model=logistic_regression", "features=everything", "features.features.min_df=1"],
    "chance": ["model=chance"],
}
#: Cases of several seconds.
LONG = ("tuned", "voting", "context")


def made(prepared: PreparedRun, folder: Path, **order: Any) -> TrainedModel:
    record = obtain(prepared, ResultsStore(folder / "results")).record
    return train(prepared, record, Order(folder / "model", command="sitrepbench train", **order))


@pytest.fixture(scope="module")
def svm(prepared: Any, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return made(prepared(*CASES["calibrated"]), tmp_path_factory.mktemp("svm"))


@pytest.fixture
def copy(svm: TrainedModel, tmp_path: Path) -> Path:
    assert svm.folder is not None
    return Path(shutil.copytree(svm.folder, tmp_path / "copy"))


def forge(folder: Path, name: str, data: bytes, **fields: Any) -> None:
    """Write a file into a model folder as somebody would who also mends the checksums."""
    (folder / name).write_bytes(data)
    path = folder / "model.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    path.write_text(json.dumps({**manifest, **fields}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * (case in LONG)) for case in CASES]
)
def test_a_loaded_model_answers_as_the_fitted_one(case: str, prepared: Any, tmp_path: Path) -> None:
    run = prepared(*CASES[case])
    fitted = made(run, tmp_path)
    loaded = load_trained(tmp_path / "model")
    rows = run.plan.training.frame.drop(columns=["label", "secondary", "split", "cluster"])
    labels, probabilities = loaded.answer(rows)
    assert labels.tolist() == fitted.answer(rows)[0].tolist()
    np.testing.assert_array_equal(probabilities, fitted.answer(rows)[1])
    assert loaded.calibrator == fitted.calibrator
    model, given = fitted.pipeline.steps[-1][1], transform(fitted.pipeline[:-1], rows)
    bare = predict(model, given, n_rows=len(rows), labels=loaded.labels)
    assert labels.tolist() == bare[0].tolist()
    if loaded.calibrator is None:
        np.testing.assert_array_equal(probabilities, bare[1])
    assert loaded.has_probabilities == bool(np.isfinite(probabilities).all())
    assert loaded.reads_documents == (case in ("crf", "context"))
    assert loaded.key == run.key
    assert not loaded.notes
    if case == "tuned":
        assert "C" in loaded.manifest["settings"]


def test_texts_alone_are_answered_each_by_itself(svm: TrainedModel) -> None:
    texts = ["Nine people were killed at the mill.", "The army denied that it had hit the camp."]
    labels, probabilities = svm.answer(pd.DataFrame({"text": texts}))
    assert labels.tolist() == ["casualty_report", "denial"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    one, alone = svm.answer(pd.DataFrame({"text": texts[1:]}, index=[7]))
    assert one.tolist() == ["denial"]
    np.testing.assert_array_equal(alone[0], probabilities[1])
    none, empty = svm.answer(pd.DataFrame({"text": []}))
    assert none.shape == (0,)
    assert empty.shape == (0, 5)


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        ({"sentence": ["a"]}, "'text' is missing"),
        ({"text": ["a", None, 3]}, "text is not a string in row 2, 3"),
        ({"text": ["a"], "position": [0.5]}, "position is not a whole number from 0 in row 1"),
        ({"text": ["a"], "document_id": [None]}, "document_id is missing in row 1"),
    ],
)
def test_a_table_that_cannot_be_answered_is_told(
    frame: dict[str, Any], told: str, svm: TrainedModel
) -> None:
    with pytest.raises(DataError, match=told):
        svm.answer(pd.DataFrame(frame))


@pytest.mark.parametrize("name", ["model.skops", "card.md", "requirements.txt"])
def test_a_changed_file_is_told_before_anything_is_read(name: str, copy: Path) -> None:
    with (copy / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match=rf"(?s){name}: sha256 is .*fetch the model again"):
        load_trained(copy)


def test_all_that_is_wrong_is_one_report(copy: Path) -> None:
    (copy / "card.md").unlink()
    (copy / "model.skops").write_bytes(b"")
    with pytest.raises(DataError, match="2 problems") as caught:
        load_trained(copy)
    assert "card.md is missing" in str(caught.value)
    assert "model.skops: sha256" in str(caught.value)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/b", "..", "", "model.json"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str, copy: Path) -> None:
    (copy.parent / "secret").write_text("secret")
    path = copy / "model.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(b"secret").hexdigest(), "bytes": 6}
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="no plain name of a file"):
        load_trained(copy)


@pytest.mark.parametrize("name", ["card.md", "model.json"])
def test_links_are_not_followed(name: str, copy: Path) -> None:
    elsewhere = copy.parent / "elsewhere"
    (copy / name).rename(elsewhere)
    (copy / name).symlink_to(elsewhere)
    with pytest.raises(DataError, match="links are not followed"):
        load_trained(copy)


def test_a_pipe_does_not_hang(copy: Path) -> None:
    (copy / "card.md").unlink()
    os.mkfifo(copy / "card.md")
    with pytest.raises(DataError, match="no plain file"):
        load_trained(copy)


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (b"", "model.json"),
        (b"[]", "expected an object"),
        (b"[" * 100_000, "model.json"),
        (b'{"format": 99, "sitrepbench": "9.0"}', "has format 99, this version reads 1"),
        (b'{"format": 1}', "no 'labels'"),
        (b'{"format": 1, "labels": "x"}', "labels is 'x'"),
    ],
)
def test_a_damaged_manifest_is_told(manifest: bytes, told: str, copy: Path) -> None:
    (copy / "model.json").write_bytes(manifest)
    with pytest.raises(DataError, match=told):
        load_trained(copy)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model at"):
        load_trained(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="holds no model.json"):
        load_trained(tmp_path)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


def test_a_pickle_is_refused_and_does_not_run(copy: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    forge(copy, "model.pkl", pickle.dumps(Bomb(mark)), serialization="pickle")
    with pytest.raises(DataError, match=r"(?s)runs whatever code.*--allow-pickle"):
        load_trained(copy)
    assert not mark.exists()
    # The payload is live: with leave, it runs.
    with pytest.raises(DataError, match="expected a Pipeline"):
        load_trained(copy, allow_pickle=True)
    assert mark.exists()


def test_a_type_that_is_not_listed_is_refused_and_not_imported(copy: Path) -> None:
    data = skops.io.dumps(Pipeline([("model", Stranger())]))
    forge(copy, "model.skops", data)
    with pytest.raises(DataError, match=r"(?s)refused, nothing was loaded.*Stranger"):
        load_trained(copy)


def test_a_hostile_schema_is_refused_and_does_not_run(copy: Path, tmp_path: Path) -> None:
    """A schema, written by hand, that would call ``os.system``."""
    mark = tmp_path / "ran"
    node = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "FunctionNode",
        "content": {"module_path": "os", "function": "system"},
    }
    for loader in ("FunctionNode", "TypeNode", "ReduceNode", "ObjectNode"):
        schema = {**node, "__loader__": loader, "protocol": 2, "_skops_version": "0.16.0"}
        schema["args"] = schema["content"] = schema["state"] = {
            "__class__": "str",
            "__module__": "builtins",
            "__loader__": "JsonNode",
            "content": json.dumps(f"touch {mark}"),
        }
        with zipfile.ZipFile(copy / "forged", "w") as archive:
            archive.writestr("schema.json", json.dumps(schema))
        forge(copy, "model.skops", (copy / "forged").read_bytes())
        with pytest.raises(DataError):
            load_trained(copy)
    assert not mark.exists()


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", b"\x80\x05."])
def test_what_is_no_archive_is_told(data: bytes, copy: Path) -> None:
    forge(copy, "model.skops", data)
    with pytest.raises(DataError, match="not a readable skops file"):
        load_trained(copy)


def test_a_model_cannot_have_files_of_this_machine_read(prepared: Any, tmp_path: Path) -> None:
    made(prepared("model=keyword_rules"), tmp_path)
    pipeline = load_trained(tmp_path / "model").pipeline
    pipeline.steps[-1][1].lexicon = "/etc/hostname"
    forge(tmp_path / "model", "model.skops", to_skops(pipeline))
    with pytest.raises(DataError, match="neither shipped nor in the model's folder"):
        load_trained(tmp_path / "model")


def test_a_lexicon_of_ones_own_travels_with_the_model(prepared: Any, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "name: own\nversion: '1'\norder: [denial, background]\ndefault: background\n"
        "labels: {denial: {strong: [river]}, background: {}}\n"
    )
    trained = made(prepared("model=keyword_rules", f"model.lexicon={own}"), tmp_path)
    assert trained.pipeline.steps[-1][1].lexicon == str(own)
    own.unlink()
    loaded = load_trained(tmp_path / "model")
    asked = pd.DataFrame({"text": ["the river", "the road"]})
    assert loaded.answer(asked)[0].tolist() == ["denial", "background"]


def without_answers(pipeline: Any) -> None:
    pipeline.steps = []


def with_odd_labels(pipeline: Any) -> None:
    pipeline.steps[-1][1].classes_ = 5


def with_wild_indices(pipeline: Any) -> None:
    matrix = csr_matrix(np.ones((2, 2)))
    matrix.indices[0] = 1_000_000
    pipeline.steps[-1][1].coef_ = matrix


def with_hidden_rules(pipeline: Any) -> None:
    pipeline.hidden = np.array([KeywordRules(lexicon="/etc/hostname"), None], dtype=object)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without_answers, "not as it was fitted"),
        (with_odd_labels, "not as it was fitted"),
        (with_wild_indices, "not as it was fitted"),
        (with_hidden_rules, "neither shipped nor in the model's folder"),
    ],
)
def test_a_pipeline_that_no_fit_makes_is_refused(spoil: Any, told: str, copy: Path) -> None:
    pipeline = load_trained(copy).pipeline
    spoil(pipeline)
    forge(copy, "model.skops", skops.io.dumps(pipeline))
    with pytest.raises(DataError, match=told):
        load_trained(copy)


def test_an_archive_within_the_archive_is_counted(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.npy", b"0" * 2_000_000)
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.npz", inner.getvalue())
        archive.writestr("schema.json", "{}")
    forge(copy, "model.skops", outer.getvalue())
    monkeypatch.setattr("sitrepbench.trained.serialised.MOST_UNPACKED", 1_000_000)
    with pytest.raises(DataError, match="unpack to 2,0"):
        load_trained(copy)
    monkeypatch.undo()
    monkeypatch.setattr("sitrepbench.trained.serialised.MOST_SCHEMA", 1)
    with pytest.raises(DataError, match="schema of 2 bytes"):
        load_trained(copy)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("versions", {"": "1"}, "versions are texts"),
        ("versions", {"numpy": 5}, "versions are texts"),
        ("name", "\x1b]0;mine\x07", "name is"),
        ("name", "x" * 201, "name is"),
        ("calibrator", {"calibrator": "temperature", "temperature": 10**400}, "finite number"),
        ("calibrator", {"calibrator": "temperature", "temperature": float("nan")}, "finite"),
    ],
)
def test_a_hostile_value_is_told(field: str, value: Any, told: str, copy: Path) -> None:
    path = copy / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(DataError, match=told):
        load_trained(copy)


def test_overwriting_removes_nothing_but_the_model(copy: Path, tmp_path: Path) -> None:
    check_output(copy, replace=True)
    (copy / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"other files.*thesis\.txt"):
        check_output(copy, replace=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"other files.*model\.json"):
        check_output(other, replace=True)


def test_where_nothing_can_be_written_is_told_before_anything_is_fitted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="nothing can be written in"):
        check_output(tmp_path / "file" / "model", replace=False)
    check_output(tmp_path / "new" / "model", replace=False)


def test_the_current_folder_can_be_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_folder(Path(), {"name": "m"}, {"card.md": b"card"}, replace=False)
    found = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert found == ["card.md", "model.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


class Stranger(TfidfVectorizer):  # type: ignore[misc]
    """A user's own class."""


def test_a_users_own_class_needs_trust_on_both_sides() -> None:
    model = Pipeline([("model", Stranger().fit(["a word"]))])
    name = f"{Stranger.__module__}.Stranger"
    with pytest.raises(ModelError, match=f"--trust {name}"):
        to_skops(model)
    assert to_skops(model, trust=[name])
    with pytest.raises(ConfigError, match="expected MODULE.CLASS"):
        to_skops(model, trust=["Stranger"])


def test_what_skops_cannot_save_is_told_or_pickled(prepared: Any, tmp_path: Path) -> None:
    run = prepared("model=random_forest", *WORDS, "model.n_estimators=3")
    with pytest.raises(ModelError, match=r"(?s)sklearn.tree._tree.Tree: indices.*--trust"):
        made(run, tmp_path)
    assert not (tmp_path / "model").exists()
    trust = ("sklearn.tree._tree.Tree",)
    made(run, tmp_path, trust=trust)
    with pytest.raises(DataError, match="refused, nothing was loaded"):
        load_trained(tmp_path / "model")
    loaded = load_trained(tmp_path / "model", trust=trust)
    assert loaded.answer(pd.DataFrame({"text": ["killed"]}))[0].shape == (1,)


def test_what_lies_there_is_not_written_over(
    prepared: Any, svm: TrainedModel, tmp_path: Path
) -> None:
    run = prepared("model=keyword_rules")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        made(run, tmp_path, overwrite=True)
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["mine.txt"]
    assert svm.folder is not None
    record = obtain(run, ResultsStore(tmp_path / "results")).record
    copied = Path(shutil.copytree(svm.folder, tmp_path / "copied"))
    with pytest.raises(ConfigError, match="--overwrite"):
        train(run, record, Order(copied))
    train(run, record, Order(copied, overwrite=True))
    assert load_trained(copied).key == run.key
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_a_test_split_is_never_trained_on() -> None:
    run = prepare(
        check_config(
            compose(["dataset=sitrep", "protocol=grouped_cv", "model=majority"], config_dirs=[])
        )
    )
    from sitrepbench.trained.fitting import training_rows

    splits = set(run.plan.training.frame["split"].to_numpy()[training_rows(run.plan)])
    assert splits == {"train", "dev"}
    official = prepare(
        check_config(
            compose(["dataset=sitrep", "protocol=official", "model=majority"], config_dirs=[])
        )
    )
    rows = training_rows(official.plan)
    assert set(official.plan.training.frame["split"].to_numpy()[rows]) == {"train"}


def test_the_card_tells_what_is_known(svm: TrainedModel) -> None:
    assert svm.folder is not None
    card = (svm.folder / "card.md").read_text()
    for told in (
        "## Intended use",
        "## Out-of-scope use",
        "80 sentences of 8 documents",
        "not stated: ask whoever gave you the data",
        "95 % interval",
        "mended by `isotonic`",
        svm.key,
        "`casualty_report` was learned from 16 sentences only",
        "sitrepbench train",
        "at most 40 of these sentences at a time",
        "had all 80; it has not itself been scored",
        "Of 100 sentences 100 get the label",
        "sitrepbench predict FOLDER",
    ):
        assert told in card, told


def test_the_card_of_official_splits_does_not_claim_more_rows(
    table: Path, prepared: Any, tmp_path: Path
) -> None:
    frame = pd.read_csv(table)
    frame["split"] = np.where(frame["document_id"] < "d6", "train", "dev")
    frame.to_csv(tmp_path / "split.csv", index=False)
    given = ["dataset=table", f"dataset.path={tmp_path / 'split.csv'}", "protocol=official"]
    run = prepare(check_config(compose([*given, "model=majority"], config_dirs=[])))
    card = (made(run, tmp_path).folder / "card.md").read_text()  # type: ignore[operator]
    assert "fitted on the same sentences" in card
    assert "not itself been scored" not in card
    assert "would be right for" in card
    assert "taken for" in card
