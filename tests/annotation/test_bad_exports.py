"""What is no export, or a broken one, ends in one report; never in a traceback."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitrepbench.annotation.accounts import Accounts
from sitrepbench.annotation.exports import read_export
from sitrepbench.annotation.tables import long_table
from sitrepbench.errors import ConfigError, DataError

FILES = Path(__file__).parent / "files"
DATA = {"sentence_id": "s1", "document_id": "d", "position": 0, "text": "They left."}


def choice(control: str, *labels: str) -> dict[str, Any]:
    return {"from_name": control, "type": "choices", "value": {"choices": list(labels)}}


def annotation(who: object, *result: object, **more: object) -> dict[str, Any]:
    return {"id": 7, "completed_by": who, "result": list(result), **more}


def task(*annotations: object, **data: object) -> dict[str, Any]:
    return {"id": 4, "data": {**DATA, **data}, "annotations": list(annotations)}


def report_of(tmp_path: Path, content: object) -> str:
    path = tmp_path / "export.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_export(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is not JSON"),
        (b"sentence_id,label\ns1,denial\n", "is not JSON"),
        (b"\xff\xfe", "byte 1 of the file is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'[{"id": NaN}]', "NaN is not JSON"),
        (b'[{"id": ' + b"9" * 5000 + b"}]", "digits"),
        (b"[]", "the list of tasks is empty"),
        (b'{"data": {}}', "expected a list of tasks, found dict"),
        (b'[{"text": "x", "spans": []}]', "neither JSON nor JSON-MIN of Label Studio"),
        (b'[{"id": 1, "annotations": "x", "data": {}}]', "annotations: expected a list"),
        (b"[3]", "item 1: expected a task in braces, found 3"),
    ],
)
def test_what_is_no_export(tmp_path: Path, content: bytes, told: str) -> None:
    assert told in report_of(tmp_path, content)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_export(tmp_path / "none.json")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    told = report_of(
        tmp_path,
        [
            task(annotation(1, choice("label", "denail")), annotation(None)),
            {"data": {"text": "no ids"}, "annotations": []},
            task(annotation(2, choice("label", "denial", "background")), text="They stayed."),
            task(
                annotation(3, choice("label", "denial")),
                annotation(3, choice("label", "background")),
            ),
        ],
    )
    for part in (
        "item 1 (task 4), annotation 7: unknown label 'denail'",
        "Did you mean 'denial'?",
        "expected an account's number or address, found None",
        "item 1 (task 4), annotation 7: it has no label",
        "item 2: sentence_id: expected text, found none",
        "expected one label, found 'denial', 'background'",
        "text of 's1' is 'They stayed.', but an earlier task has 'They left.'",
        "'3' labelled 's1' in item 4 (task 4), annotation 7 as well",
    ):
        assert part in told
    assert "What to do:" in told


def test_the_same_sentence_in_two_tasks_by_one_annotator(tmp_path: Path) -> None:
    one = task(annotation(1, choice("label", "denial")))
    assert "doubled_annotation (1)" in report_of(tmp_path, [one, one])


def test_two_tasks_of_one_sentence_by_two_annotators_are_one(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    tasks = [task(annotation(who, choice("label", "denial"))) for who in (1, 2)]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    read = read_export(path)
    assert len(read.sentences) == 1
    assert list(read.answers["annotator"]) == ["1", "2"]


@pytest.mark.parametrize("first", [True, False])
def test_who_skipped_and_then_labelled_has_labelled(tmp_path: Path, first: bool) -> None:
    path = tmp_path / "export.json"
    both = [annotation(1, choice("label", "denial")), annotation(1, was_cancelled=True)]
    path.write_text(json.dumps([task(*(both if first else both[::-1]))]), encoding="utf-8")
    read = read_export(path)
    assert list(read.answers["status"]) == ["labelled"]
    assert "1 skipped annotation(s) beside another" in read.notes[0]


def test_controls_of_others_are_told_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    stars = {"from_name": "stars", "type": "rating", "value": {"rating": 4}}
    tasks = [task(annotation(1, choice("label", "denial"), stars))]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    assert read_export(path).notes == ("1 answer(s) of 'stars', not a control of ours, left out",)


def test_columns_that_are_called_like_ours_are_kept_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    further = {"label": "old", "status": "x", "score": 1e999, "deep": [[1]]}
    tasks = [task(annotation(1, choice("label", "denial")), columns=further)]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    # What a JSON writer gives for infinity is not JSON, and is refused as such.
    with pytest.raises(DataError, match="Infinity is not JSON"):
        read_export(path)
    further["score"] = 0.5
    path.write_text(json.dumps(tasks).replace("0.5", "1e999"), encoding="utf-8")
    read = read_export(path)
    (row,) = long_table(read.sentences, read.answers).to_dict("records")
    assert (row["label"], row["source_label"], row["source_status"]) == ("denial", "old", "x")
    assert row["deep"] == "[[1]]"
    assert not row["score"]


def test_a_name_for_two_accounts_is_refused() -> None:
    with pytest.raises(ConfigError, match="'ana' has two accounts") as caught:
        Accounts.of(["ana=1", "ana=2", "ben", "eva=x"])
    assert re.search("'ben': expected NAME=ACCOUNT", str(caught.value))
    assert re.search("'eva=x': an account is a number or an e-mail", str(caught.value))
    with pytest.raises(ConfigError, match="account 1 has two names"):
        Accounts.of(["ana=1", "ben=1"])


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["denial", "s1", {"choices": ["denial"]}]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*DATA, "choices", "text", "label", "columns", "id", "email"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
RESULTS = st.fixed_dictionaries(
    {"from_name": st.sampled_from(["label", "comment", "x"]) | VALUES, "value": VALUES}
)
TASKS = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries({name: st.just(DATA[name]) | VALUES for name in DATA})
        | VALUES,
        "annotations": st.lists(
            st.fixed_dictionaries(
                {
                    "completed_by": VALUES,
                    "was_cancelled": st.booleans() | VALUES,
                    "result": st.lists(RESULTS | VALUES, max_size=3) | VALUES,
                }
            )
            | VALUES,
            max_size=2,
        )
        | VALUES,
    }
)
MINIMAL = st.fixed_dictionaries(
    {
        **{name: st.just(DATA[name]) | VALUES for name in DATA},
        "annotation_id": VALUES,
        "annotator": VALUES,
        "label": VALUES,
        "columns": VALUES,
    }
)


@pytest.mark.slow
@given(content=st.lists(TASKS | MINIMAL | VALUES, max_size=3) | VALUES)
def test_any_json_gives_a_result_or_a_report(
    tmp_path_factory: pytest.TempPathFactory, content: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    try:
        read = read_export(path)
    except DataError:
        return
    assert len(long_table(read.sentences, read.answers)) >= len(read.sentences) > 0


@given(content=st.binary(max_size=60))
def test_any_bytes_give_a_report(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.json"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_export(path)
