"""Predictions files of anybody's: every problem in one report, and nothing taken on trust."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sitrepbench.comparison.files import read_predictions
from sitrepbench.comparison.gold import Gold, find_dataset, gold_of, gold_of_dataset
from sitrepbench.data.table import load_frame
from sitrepbench.errors import ConfigError, DataError
from sitrepbench.predictions import PredictionsTable

LABELS = ("a", "b")


def gold(*, part: str = "dev", test_splits: tuple[str, ...] = ()) -> Gold:
    frame = pd.DataFrame(
        {
            "sentence_id": ["s1", "s2", "s3"],
            "document_id": ["d1", "d1", "d2"],
            "domain": "",
            "label": ["a", "b", "a"],
            "secondary": "",
        }
    )
    return Gold(frame, LABELS, part, "made", "digest", test_splits)


def read(
    tmp_path: Path, text: str, name: str = "theirs.csv", **changes: object
) -> PredictionsTable:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_predictions(path, gold(**changes))  # type: ignore[arg-type]


def test_a_plain_file_in_any_order_takes_gold_from_the_dataset(tmp_path: Path) -> None:
    table = read(tmp_path, "sentence_id,label\ns3,b\ns1,a\ns2,b\n")
    assert table.frame["sentence_id"].tolist() == ["s1", "s2", "s3"]
    assert table.frame["predicted"].tolist() == ["a", "b", "b"]
    assert table.frame["label"].tolist() == ["a", "b", "a"]
    assert table.frame["document_id"].tolist() == ["d1", "d1", "d2"]
    assert table.parts == ("dev",)
    assert not table.has_probabilities


def test_all_formats_say_the_same(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"id": ["s1", "s2", "s3"], "prediction": ["a", "a", "b"], "p_a": [1, 0.7, 0.2],
         "p_b": [0, 0.3, 0.8]}
    )  # fmt: skip
    rows.to_csv(tmp_path / "x.csv", index=False)
    rows.to_csv(tmp_path / "x.tsv", index=False, sep="\t")
    rows.to_json(tmp_path / "x.jsonl", orient="records", lines=True)
    rows.to_parquet(tmp_path / "x.parquet")
    tables = [read_predictions(tmp_path / f"x.{suffix}", gold()).frame
              for suffix in ("csv", "tsv", "jsonl", "parquet")]  # fmt: skip
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])
    assert tables[0]["p_b"].tolist() == [0, 0.3, 0.8]


def test_a_spreadsheets_mark_is_no_problem(tmp_path: Path) -> None:
    table = read(tmp_path, "\ufeffsentence_id,label\ns1,a\ns2,b\ns3,b\n")
    assert len(table.frame) == 3


def test_all_problems_stand_in_one_report_with_their_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(
            tmp_path,
            "sentence_id,predicted,p_a,p_b\n"
            "s1,a,0.5,0.5\n"
            "s1,a,0.5,0.5\n"  # row 2: twice
            "s9,b,0.5,0.5\n"  # row 3: unknown
            "s2,A,1.5,-0.5\n"  # row 4: label, probability
            ",b,0.9,0.9\n",  # row 5: no id, sum
        )
    text = str(caught.value)
    for told in (
        "7 problems",
        "row 2 (line 3), sentence_id: sentence 's1' stands in row 1 already",
        "row 3 (line 4), sentence_id: no sentence 's9' in part dev",
        "row 4 (line 5), predicted: unknown label 'A'. Did you mean 'a'?",
        "row 4 (line 5), p_a: expected a number from 0 to 1, found '1.5'",
        "row 5 (line 6), sentence_id: has no id",
        "row 5 (line 6): the probabilities sum to 1.8, expected 1",
        "1 of 3 sentences of part dev are not predicted: 's3'",
    ):
        assert told in text


@pytest.mark.parametrize("value", ["nan", "inf", "-0.1", "x", ""])
def test_probabilities_are_numbers_or_absent(tmp_path: Path, value: str) -> None:
    text = f"sentence_id,label,p_a,p_b\ns1,a,{value},0\ns2,a,1,0\ns3,a,1,0\n"
    with pytest.raises(DataError, match=r"row 1 \(line 2\), p_a: expected a number"):
        read(tmp_path, text)


def test_empty_probabilities_are_none_at_all(tmp_path: Path) -> None:
    table = read(tmp_path, "sentence_id,label,p_a,p_b\ns1,a,,\ns2,a,,\ns3,a,,\n")
    assert np.isnan(table.frame["p_a"]).all()


def test_probabilities_of_some_labels_or_of_others(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "sentence_id,label,p_a,p_B\ns1,a,1,0\ns2,a,1,0\ns3,a,1,0\n")
    assert "'p_B' is of no label. Did you mean 'p_b'?" in str(caught.value)
    assert "probabilities lack p_b" in str(caught.value)


def test_repeats_have_to_be_whole(tmp_path: Path) -> None:
    full = "".join(f"s{n},a,{r}\n" for r in (0, 1) for n in (1, 2, 3))
    table = read(tmp_path, "sentence_id,label,repeat\n" + full)
    assert table.frame["repeat"].tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(DataError, match="not predicted in repeat 1: 's3'"):
        read(tmp_path, "sentence_id,label,repeat\n" + full.removesuffix("s3,a,1\n"))
    with pytest.raises(DataError, match=r"row 1 \(line 2\), repeat: expected a whole number"):
        read(tmp_path, "sentence_id,label,repeat\n" + full.replace("s1,a,0", "s1,a,-1"))


def test_only_the_rows_of_the_part_count(tmp_path: Path) -> None:
    own = "".join(f"s{n},a,dev\n" for n in (1, 2, 3))
    table = read(tmp_path, "sentence_id,label,part\nelsewhere,zzz,test\n" + own)
    assert len(table.frame) == 3
    with pytest.raises(DataError, match="no rows of part 'dev'; the file has: 'test'"):
        read(tmp_path, "sentence_id,label,part\ns1,a,test\n")


def test_a_wrong_gold_label_is_told_but_never_of_a_test_split(tmp_path: Path) -> None:
    text = "sentence_id,predicted,label\ns1,a,b\ns2,a,b\ns3,a,a\n"
    with pytest.raises(DataError, match="row 1 .*has the gold label 'b', expected 'a'"):
        read(tmp_path, text)
    table = read(tmp_path, text, part="test", test_splits=("test",))
    assert table.frame["label"].tolist() == ["a", "b", "a"]


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, "sentense_id;lable\ns1;a\n", name="x.csv")
    assert "no column sentence_id (nor sent_id, id)" in str(caught.value)
    with pytest.raises(DataError, match="tells no format"):
        read(tmp_path, "sentence_id,label\n", name="x.xlsx")
    with pytest.raises(DataError, match="there is no such file"):
        read_predictions(tmp_path / "absent.csv", gold())
    with pytest.raises(DataError, match="a header and no rows"):
        read(tmp_path, "sentence_id,label\n")


def test_whole_numbers_are_ids_too(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"id": n, "label": "a"}) + "\n" for n in (1, 2, 3)))
    numbered = gold()
    numbered = Gold(numbered.frame.assign(sentence_id=["1", "2", "3"]), LABELS, "dev")
    assert len(read_predictions(path, numbered).frame) == 3


def test_gold_of_a_dataset_by_part() -> None:
    frame = pd.DataFrame(
        {
            "document_id": ["d1", "d1", "d2", "d3"],
            "text": ["One.", "Two.", "Three.", "Four."],
            "label": ["a", "b", "a", "b"],
            "split": ["train", "train", "dev", "test"],
        }
    )
    dataset = load_frame(frame, labels=LABELS, name="made")
    assert gold_of_dataset(dataset, "dev").frame["sentence_id"].tolist() == ["d2:0"]
    assert gold_of_dataset(dataset, "dev").test_splits == ()
    assert len(gold_of_dataset(dataset, "cv").frame) == 3
    assert gold_of_dataset(dataset, "test").test_splits == ("test",)
    assert gold_of_dataset(dataset, "all").test_splits == ("test",)
    with pytest.raises(DataError, match="no part 'tset'. Did you mean 'test'?"):
        gold_of_dataset(dataset, "tset")


def test_gold_of_a_table_needs_one_label_per_sentence(tmp_path: Path) -> None:
    table = read(tmp_path, "sentence_id,label\ns1,a\ns2,b\ns3,b\n")
    pd.testing.assert_frame_equal(gold_of(table, "dev").frame, gold().frame)
    twice = table.frame.assign(repeat=1, label=["b", "b", "a"])
    with pytest.raises(DataError, match="1 sentence.s. bear two gold labels"):
        gold_of(PredictionsTable(pd.concat([table.frame, twice]), LABELS), "dev")
    with pytest.raises(DataError, match="no predictions of part 'dve'. Did you mean 'dev'?"):
        gold_of(table, "dve")


def test_datasets_are_found_by_name_card_folder_and_table(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("doc_id,text,label\nd1,They met.,negotiation\n")
    assert find_dataset("mine.csv", beside=tmp_path).name == "mine"
    with pytest.raises(ConfigError, match="Did you mean 'sitrep'?"):
        find_dataset("sitrpe")
