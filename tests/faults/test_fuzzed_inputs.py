"""Whatever the bytes of an input: a result or a report, never a traceback or half a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitrepbench.cli import main

pytestmark = pytest.mark.fault
EXAMPLES = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
CSV = st.sampled_from([b"id,text\n", b"1,They met.\n", b'"', b",", b"\n", b"\r", b"\0", b"\xff"])
JSONL = st.sampled_from(
    [b'{"text": "They met."}\n', b'{"text": "\\ud83d", "a": 1}\n', b'{"text": 1}\n', b"[[", b"{}\n",
     b'{"a": 1, "a": 2}\n', b"NaN\n", b"\n", b"\xff"]
)  # fmt: skip


def data_of(pieces: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(pieces | st.binary(max_size=8), max_size=10).map(b"".join)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from importlib.metadata import version

    import pandas as pd
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    from sitrepbench.models.pipeline import build_pipeline
    from sitrepbench.trained.folder import write_folder
    from sitrepbench.trained.serialised import SKOPS_FILE, to_skops

    pipeline = build_pipeline(TfidfVectorizer(), LinearSVC())
    pipeline.fit(pd.DataFrame({"text": ["they met", "he denied"]}), ["negotiation", "denial"])
    manifest = {
        "name": "fuzzed", "labels": ["denial", "negotiation"], "columns": [],
        "reads_documents": False, "has_probabilities": False, "key": "0" * 16,
        "serialization": "skops", "versions": {"scikit-learn": version("scikit-learn")},
        "calibrator": None,
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("fuzz") / "model"
    write_folder(folder, manifest, {SKOPS_FILE: to_skops(pipeline)}, replace=False)
    return folder


def check_predict(model: Path, suffix: str, data: bytes, skip: bool) -> None:
    source, output = model.parent / f"in{suffix}", model.parent / f"out{suffix}"
    source.write_bytes(data)
    output.unlink(missing_ok=True)
    code = main(["predict", str(model), str(source), "-o", str(output),
                 "--on-error", "skip" if skip else "stop"])  # fmt: skip
    assert code in ((0, 1, 4) if skip else (0, 4))
    assert output.exists() == (code != 4)
    assert not list(model.parent.glob(".*.partial"))


@EXAMPLES
@given(data=data_of(CSV), skip=st.booleans())
def test_any_bytes_as_csv(model, data, skip):
    check_predict(model, ".csv", data, skip)


@EXAMPLES
@given(data=data_of(JSONL), skip=st.booleans())
def test_any_bytes_as_jsonl(model, data, skip):
    check_predict(model, ".jsonl", data, skip)


@EXAMPLES
@given(data=st.binary(max_size=300), cut=st.integers(0, 900))
def test_any_bytes_as_parquet(model, data, cut):
    import pandas as pd

    good = pd.DataFrame({"text": ["They met."] * 5}).to_parquet()
    check_predict(model, ".parquet", good[:cut] + data + good[cut + len(data) :], False)


@EXAMPLES
@given(data=data_of(CSV), suffix=st.sampled_from([".csv", ".jsonl", ".parquet", ".yaml"]))
def test_any_bytes_for_validate(model, data, suffix):
    source = model.parent / f"table{suffix}"
    source.write_bytes(data)
    assert main(["data", "validate", str(source)]) in (0, 3, 4)
