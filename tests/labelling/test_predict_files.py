"""`sitrepbench predict` on files: order, columns, broken rows, documents, workers."""

from __future__ import annotations

import csv
import importlib
import io
import json

import pandas as pd
import pytest

from sitrepbench.errors import DataError
from sitrepbench.labelling import documents, label_frame, readers
from sitrepbench.labelling.writers import escaped
from sitrepbench.trained import load_trained

TEXTS = ["Nine people were killed.", "The army denied it.", "Buses took families out."] * 40
GOOD = "id,text\n" + "".join(f'{n},"{text}"\n' for n, text in enumerate(TEXTS))


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_rows_keep_order_and_columns(tmp_path, predict, models, monkeypatch, processes):
    monkeypatch.setattr(readers, "BLOCK_ROWS", 7)
    (tmp_path / "in.csv").write_text(GOOD)
    code, out, err = predict("sure", tmp_path / "in.csv", "--processes", processes)
    assert code == 0, err
    rows = list(csv.DictReader(io.StringIO(out.decode())))
    labels, probabilities = load_trained(models / "sure").answer(pd.DataFrame({"text": TEXTS}))
    assert [row["id"] for row in rows] == [str(n) for n in range(len(TEXTS))]
    assert [row["predicted"] for row in rows] == list(labels)
    assert float(rows[1]["p_denial"]) == pytest.approx(probabilities[1][1], abs=1e-6)


def test_a_broken_row_stops_before_anything_is_written(tmp_path, predict):
    (tmp_path / "in.csv").write_bytes(b'id,text\n1,a\n2\n3,"x"y\n4,\xff\n5,\n6,a\0b\n')
    code, out, err = predict("sure", tmp_path / "in.csv", "--output", tmp_path / "out.csv")
    assert (code, out) == (4, b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]
    for place in ("row 2 (line 3)", "row 3 (line 4)", "row 4 (line 5)", "row 5 (line 6)", "row 6"):
        assert place in err


def test_skipping_goes_on_and_tells(tmp_path, predict):
    (tmp_path / "in.jsonl").write_text(
        '{"text": "They denied it"}\n{"a": 1}\n{bad\n{"text": "x"}\n'
    )
    code, out, err = predict("svm", tmp_path / "in.jsonl", "--on-error", "skip")
    assert code == 1
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["They denied it", "x"]
    assert "2 rows labelled, 2 left out" in err


def test_documents_reach_the_model_whole(tmp_path, predict, models, monkeypatch):
    frame = pd.DataFrame({"document_id": [f"d{n // 9}" for n in range(len(TEXTS))], "text": TEXTS})
    frame.to_csv(tmp_path / "in.csv", index=False)
    monkeypatch.setattr(readers, "BLOCK_ROWS", 4)
    code, out, err = predict("neighbours", tmp_path / "in.csv")
    assert code == 0, err
    labels, _ = load_trained(models / "neighbours").answer(frame)
    assert pd.read_csv(io.BytesIO(out))["predicted"].tolist() == list(labels)
    monkeypatch.setattr(documents, "MAX_DOCUMENT_ROWS", 5)
    code, _, err = predict("neighbours", tmp_path / "in.csv")
    assert code == 4
    assert "has more than 5 rows" in err


def test_scattered_documents_are_refused(tmp_path, predict):
    (tmp_path / "in.csv").write_text("doc_id,text\na,x\nb,y\na,z\n")
    code, _, err = predict("neighbours", tmp_path / "in.csv")
    assert code == 4
    assert "row 3 (line 4): the document 'a' comes up again" in err


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "parquet"])
def test_formats_out(tmp_path, predict, format):
    (tmp_path / "in.csv").write_text(GOOD)
    code, _, err = predict("sure", tmp_path / "in.csv", "-o", tmp_path / f"out.{format}")
    assert code == 0, err
    found = {
        "csv": pd.read_csv,
        "tsv": lambda path: pd.read_csv(path, sep="\t"),
        "jsonl": lambda path: pd.read_json(path, lines=True),
        "parquet": pd.read_parquet,
    }[format](tmp_path / f"out.{format}")
    assert found["text"].tolist() == TEXTS
    assert found["predicted"].nunique() == 3


def test_formulas_are_escaped(tmp_path, predict):
    assert [escaped(cell) for cell in ("=1", "@x", "-5", "+3.2", "\tx", "a")] == [
        "'=1", "'@x", "-5", "+3.2", "'\tx", "a",
    ]  # fmt: skip
    (tmp_path / "in.csv").write_text("text\n=cmd()\n")
    code, out, _ = predict("svm", tmp_path / "in.csv", "--escape-formulas")
    assert code == 0
    assert out.decode().splitlines()[1].startswith("'=cmd()")


def test_a_pickled_model_needs_leave(tmp_path, predict):
    (tmp_path / "in.txt").write_text("They denied it.\n")
    assert predict("pickled", tmp_path / "in.txt")[0] == 4
    code, out, _ = predict("pickled", tmp_path / "in.txt", "--allow-pickle")
    assert (code, out.splitlines()[0]) == (0, b"text,predicted")


def test_a_frame(models):
    frame = pd.DataFrame({"text": TEXTS}, index=range(5, 5 + len(TEXTS)))
    labelled = label_frame(frame, models / "sure")
    assert labelled.index.equals(frame.index)
    empty = label_frame(frame.head(0), models / "sure")
    assert empty.dtypes.equals(labelled.dtypes)
    with pytest.raises(DataError, match="no text"):
        label_frame(pd.DataFrame({"text": ["a", " "]}), models / "sure")


def _there(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


@pytest.mark.slow
def test_the_dask_recipe(tmp_path, models, require):
    for name in ("dask.dataframe", "distributed"):
        require(_there(name), f"{name} is not installed: pip install 'dask[dataframe,distributed]'")
    import dask.dataframe as dask
    import distributed

    frame = pd.DataFrame({"text": TEXTS})
    (tmp_path / "in").mkdir()
    for part in range(3):
        frame[part * 40 : part * 40 + 40].to_parquet(tmp_path / "in" / f"part.{part}.parquet")
    model = str(models / "sure")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                                 host="127.0.0.1") as cluster,
        distributed.Client(cluster),
    ):  # fmt: skip
        table = dask.read_parquet(tmp_path / "in")
        meta = label_frame(table._meta, model)
        table.map_partitions(label_frame, model, meta=meta).to_parquet(tmp_path / "out")
    found = pd.read_parquet(tmp_path / "out")
    assert found["predicted"].tolist() == label_frame(frame, model)["predicted"].tolist()
