"""A fine-tuned network that is handed over: kept as data, and anybody's when it is loaded."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sitrepbench.errors import ModelError
from sitrepbench.finetuning import FineTuned
from sitrepbench.models.example import example_sentences
from sitrepbench.trained.serialised import from_skops, to_skops

SENTENCES, LABELS = example_sentences(20, 6)


@pytest.fixture(scope="module")
def fitted(tiny_encoder: Path) -> FineTuned:
    return FineTuned(str(tiny_encoder), epochs=1, device="cpu", random_state=0).fit(
        SENTENCES, LABELS
    )


def test_it_is_kept_by_skops_without_being_trusted_by_name(
    fitted: FineTuned, tmp_path: Path
) -> None:
    expected = fitted.predict_proba(SENTENCES)
    loaded = from_skops(to_skops(fitted), where="memory")
    # The encoder that it began from is not looked at again.
    loaded.encoder = str(tmp_path / "gone")
    np.testing.assert_array_equal(loaded.predict_proba(SENTENCES), expected)


@pytest.mark.parametrize("name", ["../planted.json", "/tmp/planted.json", "modeling.py", "w.bin"])
def test_files_that_it_does_not_write_are_refused(
    fitted: FineTuned, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(ModelError, match="none of a fine-tuned model's files"):
        changed(fitted, {name: b"{}"}).predict(SENTENCES)
    assert list(tmp_path.iterdir()) == []


def test_code_and_other_models_that_it_names_are_left_alone(fitted: FineTuned) -> None:
    config = json.loads(fitted.files_["config.json"])
    more = {"auto_map": {"AutoConfig": "planted.Config", "AutoModel": "planted.Model"}}
    with_code = changed(fitted, {"config.json": json.dumps({**config, **more}).encode()})
    np.testing.assert_array_equal(with_code.predict(SENTENCES), fitted.predict(SENTENCES))
    other = json.dumps({**config, "backbone": "somebody/weights"}).encode()
    with pytest.raises(ModelError, match="names another model"):
        changed(fitted, {"config.json": other}).predict(SENTENCES)


@pytest.mark.parametrize("name", ["finetuned.json", "model.safetensors", "config.json"])
def test_a_damaged_file_is_told(fitted: FineTuned, name: str) -> None:
    with pytest.raises(ModelError, match="damaged"):
        changed(fitted, {name: b"{half"}).predict(SENTENCES)


def changed(fitted: FineTuned, files: dict[str, bytes]) -> Any:
    other = pickle.loads(pickle.dumps(fitted))
    other.files_ = {**other.files_, **files}
    return other
