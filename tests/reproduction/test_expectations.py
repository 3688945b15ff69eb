"""Expectations: written and read back the same, and every fault of a file told at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sitrepbench.errors import ConfigError, StoreError
from sitrepbench.reproduction.expectations import (
    Expectations,
    read_expectations,
    write_expectations,
)
from sitrepbench.reproduction.facts import RunFacts, chosen_by_cell, run_label, system_of

FACTS = RunFacts(
    name="svm",
    overrides=("model=svm",),
    chosen={"all": {"C": 0.1, "kind": None}},
    key_parts={"config": {"model": {"C": 0.3}}, "sources": {"a.py": "12"}, "seed": None},
    environment={"python": "3.11", "libraries": {"numpy": "2.1"}},
    deterministic=True,
    predictions_digest="ab" * 32,
    scores={"dev": {"macro_f1": 0.5, "log_loss": None}},
    n={"dev": 10},
)
OTHER = replace(
    FACTS,
    name="nb",
    overrides=("model=nb",),
    chosen={},
    key_parts={**FACTS.key_parts, "config": {"model": {"alpha": 1.0}}},
    environment={"python": "3.12", "libraries": {"numpy": "2.1"}},
)
BY_CELL = replace(
    FACTS, overrides=("model=x",), chosen={"cv/0/0": {"C": 1.0}, "cv/0/1": {"C": 2.0}}
)
EXPECTED = Expectations(
    "mine", "sitrepbench run experiments=mine", "2026-11-01", (FACTS, OTHER, BY_CELL)
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "mine" / "expected.json"
    assert read_expectations(path) is None
    write_expectations(EXPECTED, path)
    assert read_expectations(path) == EXPECTED
    content = json.loads(path.read_text())
    # What all runs share is written once.
    assert content["key_parts"] == {"sources": {"a.py": "12"}, "seed": None}
    assert set(content["runs"][0]["key_parts"]) == {"config"}
    assert "environment" not in content["runs"][0]
    assert [run["chosen"] for run in content["runs"]] == [{"C": 0.1, "kind": None}, {}, {}]
    assert content["runs"][1]["environment"]["python"] == "3.12"
    assert [file.name for file in path.parent.iterdir()] == ["expected.json"]


def test_a_run_is_found_by_its_own_overrides_in_any_order() -> None:
    both = replace(FACTS, overrides=("model=svm", "features=word"))
    expected = replace(EXPECTED, runs=(both,))
    assert expected.run(("features=word", "model=svm")) == both
    assert expected.run(("model=svm",)) is None


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "expected.json"
    write_expectations(EXPECTED, path)
    content = json.loads(path.read_text())
    del content["command"]
    content["extra"] = 1
    content["runs"][0]["scores"]["dev"]["macro_f1"] = "high"
    content["runs"][0]["n"]["dev"] = True
    content["runs"][1]["deterministic"] = "yes"
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError) as caught:
        read_expectations(path)
    for piece in (
        "command: is missing",
        "extra: unknown key",
        "runs[0].scores.dev.macro_f1: a number or null is expected, found 'high'",
        "runs[0].n.dev: a count is expected, found True",
        "runs[1].deterministic: bool is expected, found 'yes'",
        "--update",
    ):
        assert piece in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ("[]", "a mapping is expected"),
        ('{"format": 9}', "format 9, and this program reads 1"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "expected.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_expectations(path)


def test_the_wrong_shape_further_down_is_told(tmp_path: Path) -> None:
    path = tmp_path / "expected.json"
    write_expectations(EXPECTED, path)
    content = json.loads(path.read_text())
    content["environment"].update(libraries="x", thread_pools=["x"])
    content["runs"][0]["overrides"] = [{"a": 1}]
    content["runs"][1]["key_parts"]["config"] = 3
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError) as caught:
        read_expectations(path, command="the command")
    for piece in (
        "environment.libraries: a mapping is expected, found 'x'",
        "environment.thread_pools: a list of mappings is expected, found ['x']",
        "runs[0].overrides[0]: a text is expected, found {'a': 1}",
        "runs[1].key_parts.config: a mapping is expected, found 3",
        "write it anew with: the command",
    ):
        assert piece in str(caught.value)


def test_the_same_run_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "expected.json"
    write_expectations(replace(EXPECTED, runs=(FACTS, FACTS)), path)
    with pytest.raises(ConfigError, match=r"runs\[1\].overrides: .* stands there twice"):
        read_expectations(path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("a file, no folder")
    with pytest.raises(StoreError, match="cannot be written"):
        write_expectations(EXPECTED, tmp_path / "mine" / "expected.json")


def test_choices_that_differ_by_cell_stay_apart() -> None:
    cell = {"part": "dev", "repeat": 0}
    one, two = {**cell, "fold": 0, "settings": {"C": 1}}, {**cell, "fold": 1, "settings": {"C": 2}}
    assert chosen_by_cell([]) == {}
    assert chosen_by_cell([one, two]) == {"dev/0/0": {"C": 1}, "dev/0/1": {"C": 2}}
    assert replace(FACTS, chosen=chosen_by_cell([one, two])).settings is None
    assert FACTS.settings == {"C": 0.1, "kind": None}


def test_labels_and_systems_in_short() -> None:
    assert run_label(["protocol.documents=null", "seed=1"]) == "documents=null seed=1"
    assert system_of("macOS-14.5-arm64-arm-64bit") == "macOS arm64-arm-64bit"
    assert system_of("odd") == "odd"
