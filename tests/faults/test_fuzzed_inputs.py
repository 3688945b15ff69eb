"""Whatever the bytes of an input: a result or a report, never a traceback or half a file."""

from __future__ import annotations

import gzip
import json
import shutil
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
@given(data=data_of(CSV), skip=st.booleans(), cut=st.integers(0, 60))
def test_any_bytes_as_gzip(model, data, skip, cut):
    packed = gzip.compress(b"id,text\n" + data)
    check_predict(model, ".csv.gz", packed[: len(packed) - cut] if skip else packed, skip)


@EXAMPLES
@given(data=data_of(CSV), suffix=st.sampled_from([".csv", ".jsonl", ".parquet", ".yaml"]))
def test_any_bytes_for_validate(model, data, suffix):
    source = model.parent / f"table{suffix}"
    source.write_bytes(data)
    assert main(["data", "validate", str(source)]) in (0, 3, 4)


#: What Label Studio's exports are made of, and values of kinds that do not belong there.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["choices", "label", "text", "They met.", "denial", "1", "\ud83d"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["id", "data", "annotations", "result", "value", "choices", "type", "from_name", "text",
             "to_name", "completed_by", "was_cancelled", "sentence_id", "document_id", "position"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip


def check_import(folder: Path, data: bytes, *arguments: str) -> None:
    source, output = folder / "tasks.json", folder / "annotations.csv"
    source.write_bytes(data)
    output.unlink(missing_ok=True)
    code = main(["annotation", "import", str(source), "--output", str(output), *arguments])
    assert code in (0, 1, 3, 4)
    assert output.exists() == (code in (0, 1))
    assert {path.name for path in folder.iterdir()} <= {"tasks.json", "annotations.csv"}


@pytest.fixture(scope="module")
def exported(repository: Path) -> list[dict[str, object]]:
    """An export of Label Studio."""
    file = repository / "tests" / "annotation" / "files" / "blind.json"
    tasks: list[dict[str, object]] = json.loads(file.read_text(encoding="utf-8"))
    return tasks


@EXAMPLES
@given(data=st.binary(max_size=60), cut=st.integers(0, 4000))
def test_any_bytes_as_label_studio_tasks(tmp_path, exported, data, cut):
    good = json.dumps(exported).encode()
    check_import(tmp_path, data)
    check_import(tmp_path, good[:cut] + data + good[cut + len(data) :])


@EXAMPLES
@given(value=VALUES)
def test_any_json_as_label_studio_tasks(tmp_path, value):
    check_import(tmp_path, json.dumps(value).encode())
    check_import(tmp_path, json.dumps([value, value]).encode(), "--resolve", "majority")


@EXAMPLES
@given(value=VALUES, place=st.data())
def test_any_value_in_label_studio_tasks(tmp_path, exported, value, place):
    tasks = json.loads(json.dumps(exported))
    node = tasks
    # Down to a random place, which gets the value.
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = place.draw(st.sampled_from(keys))
        below = node[key]
        if not isinstance(below, dict | list) or not below or place.draw(st.integers(0, 4)) == 0:
            node[key] = value
            break
        node = below
    check_import(tmp_path, json.dumps(tasks).encode())


@pytest.fixture(scope="module")
def carded(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset and its card."""
    folder = tmp_path_factory.mktemp("carded") / "seeds"
    shutil.copytree(repository / "seeds", folder)
    assert main(["data", "validate", str(folder / "card.yaml")]) == 0
    return folder


def check_card(folder: Path, repository: Path, data: bytes) -> None:
    card = folder / "card.yaml"
    card.write_bytes(data)
    assert main(["data", "validate", str(card)]) in (0, 3, 4)
    names = {path.name for path in (repository / "seeds").iterdir()}
    assert {path.name for path in folder.iterdir()} == names


YAML = st.sampled_from(
    [b"\n", b"files:", b"  - path: ../x", b"- ", b": ", b"&a [*a, *a]", b"!!python/object:os.x",
     b"{", b"~", b"1", b"[[[[", b"\t", b"\xff", b"name: 1\n", b"|", b"? ", b"role: sentences", b"'"]
)  # fmt: skip


@EXAMPLES
@given(data=data_of(YAML), cut=st.integers(0, 1800), rest=st.booleans())
def test_any_bytes_as_a_card(carded, repository, data, cut, rest):
    good = (repository / "seeds" / "card.yaml").read_bytes()
    check_card(carded, repository, data)
    check_card(carded, repository, good[:cut] + data + (good[cut + len(data) :] if rest else b""))


@EXAMPLES
@given(value=VALUES, place=st.data())
def test_any_value_in_a_card(carded, repository, value, place):
    import yaml

    content = yaml.safe_load((repository / "seeds" / "card.yaml").read_bytes())
    content[place.draw(st.sampled_from(sorted(content)))] = value
    # JSON is YAML.
    check_card(carded, repository, json.dumps(content).encode())
