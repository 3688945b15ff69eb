"""Composition: what is legal composes, what is not is one message with the nearest legal name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra

from sitrepbench.config.compose import compose, compose_with, hydra_session
from sitrepbench.config.run_config import RunConfig, build, check_config
from sitrepbench.config.schema import GROUPS
from sitrepbench.errors import ConfigError
from sitrepbench.resources import resource_folder

TABLE = "dataset.path=x.csv"


def config(*overrides: str, config_dirs: tuple[Path, ...] = ()) -> RunConfig:
    return check_config(compose([TABLE, *overrides], config_dirs=config_dirs))


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (resource_folder("conf") / group).glob("*.yaml"))


#: What has to be given with a choice.
NEEDED = {
    ("dataset", "table"): [TABLE],
    ("dataset", "humaid"): ["dataset.path=files", "dataset.event=flood"],
    ("dataset", "huggingface"): ["dataset.path=somewhere"],
}
EVERY_CHOICE = [(group, name) for group in GROUPS for name in options(group)]


@pytest.fixture(scope="module")
def session() -> Iterator[Hydra]:
    """A session in which the files of configurations are read once."""
    with hydra_session() as hydra:
        yield hydra


@pytest.mark.parametrize("number", range(max(len(options(group)) for group in GROUPS)))
def test_every_choice_composes_and_is_checked(session: Hydra, number: int) -> None:
    """Choose each group's option of a number at once: groups do not know of each other."""
    chosen = {group: options(group)[number % len(options(group))] for group in GROUPS}
    given = [f"{group}={name}" for group, name in chosen.items()]
    given += [text for choice in chosen.items() for text in NEEDED.get(choice, [])]
    names = check_config(compose_with(session, given)).names
    assert {group: names[group] for group in GROUPS} == chosen


@pytest.mark.parametrize(("group", "name"), EVERY_CHOICE)
def test_every_choice_explains_itself(group: str, name: str) -> None:
    text = (resource_folder("conf") / group / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# ")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("modle=svm", "modle=svm: unknown key 'modle'. Did you mean model=svm?"),
        ("model=liner_svm", "model=liner_svm: no such choice. Did you mean 'linear_svm'?"),
        ("model.c=2", "model.c=2: unknown key 'model.c'. Did you mean model.C=2?"),
        ("+model.c=2", "model.c: LinearSVC takes no argument 'c'. Did you mean 'C'?"),
        ("+model.CC=2", "model.CC: LinearSVC takes no argument 'CC'."),
        ("model.max_iter=50", "with a plus: +model.max_iter=50"),
        ("sed=3", "Did you mean seed=3?"),
        ("+sed=3", "sed: unknown key at the top level. Did you mean 'seed'?"),
        ("seed=abc", "Value 'abc' of type 'str' could not be converted to Integer"),
        ("resume=mising", "Invalid value 'mising', expected one of [missing"),
        ("dataset=sedes", "dataset=sedes: no such choice. Did you mean 'seeds'?"),
        ("protocol.n_fold=3", "Did you mean protocol.n_folds=3?"),
        ("protocol.n_folds=abc", "protocol.n_folds='abc': input should be a valid integer"),
        ("dataset.columns.doc_id=x", "Did you mean dataset.columns.document_id=x?"),
        ("dataset.label_map.killed=denial", "with a plus: +dataset.label_map.killed=denial"),
        ("features.min_df=[1]", "features.min_df"),
        ("nonsense", "nonsense"),
        ("model=3", "model=3: model takes the name of one of its choices"),
    ],
)
def test_a_mistake_is_told_with_the_nearest_legal_name(
    session: Hydra, override: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_config(compose_with(session, [TABLE, override]))
    assert message in str(caught.value)


def test_a_study_is_chosen_with_a_plus_as_well() -> None:
    for given in ("+experiments=seeds", "experiments=seeds"):
        made = check_config(compose([given]))
        assert (made.study, made.overrides) == ("seeds", ("experiments=seeds",))


def test_overrides_are_kept_as_they_were_given() -> None:
    made = config("+model.random_state=${seed}", "+model.tol=${.C}", "seed=4")
    assert made.tree["model"]["random_state"] == 4
    assert made.tree["model"]["tol"] == made.tree["model"]["C"]
    assert made.overrides[1:3] == ("+model.random_state=${seed}", "+model.tol=${.C}")


def test_a_required_value_is_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.path is required: give dataset\.path="):
        check_config(compose([]))


def test_all_wrong_arguments_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        config("+model.c=2", "+features.mindf=3", "protocol.n_folds=x")
    for piece in ("model.c", "features.mindf", "protocol.n_folds"):
        assert piece in str(caught.value)


def test_a_wrong_value_of_a_library_is_told_before_any_data_is_read() -> None:
    with pytest.raises(ConfigError, match="'C' parameter of LinearSVC"):
        config("model.C=-1").build("model")


def test_lists_become_tuples_where_nothing_else_is_accepted() -> None:
    node = {
        "_target_": "sklearn.feature_extraction.text.TfidfVectorizer",
        "ngram_range": [1, 2],
        "stop_words": ["the"],
    }
    made = build(node, path="features")
    assert made.ngram_range == (1, 2)
    assert made.stop_words == ["the"]


def test_a_user_adds_a_model_by_one_file(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(
        "_target_: sklearn.linear_model.RidgeClassifier\nalpha: 2.0\n"
    )
    made = config("model=mine", "model.alpha=3", config_dirs=(tmp_path,))
    assert made.names["model"] == "mine"
    assert made.build("model").alpha == 3


def test_a_user_file_that_would_not_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "linear_svm.yaml").write_text("_target_: sklearn.svm.LinearSVC\n")
    with pytest.raises(ConfigError, match="yours would not be used"):
        config(config_dirs=(tmp_path,))
    with pytest.raises(ConfigError, match="no such folder"):
        config(config_dirs=(tmp_path / "absent",))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("sklearn.svm.LinearSVCC", "sklearn.svm has no 'LinearSVCC'. Did you mean 'LinearSVC'?"),
        ("no_such_package.Model", "cannot be imported"),
        ("LinearSVC", "is not a dotted path"),
    ],
)
def test_a_wrong_target_is_told(tmp_path: Path, target: str, message: str) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(f"_target_: {target}\n")
    with pytest.raises(ConfigError) as caught:
        config("model=mine", config_dirs=(tmp_path,))
    assert message in str(caught.value)


def test_a_file_without_target_is_told(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("C: 1\n")
    with pytest.raises(ConfigError, match="model=mine: the file has no _target_"):
        config("model=mine", config_dirs=(tmp_path,))
