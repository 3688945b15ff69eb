"""Checkpoints and curves: a killed fit goes on, early stopping takes the best epoch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sitrepbench.finetuning import FineTuned, place
from sitrepbench.finetuning.curves import CurveFile, read_curves, read_points
from sitrepbench.finetuning.place import fits_kept_in
from sitrepbench.models.example import example_sentences

SENTENCES, LABELS = example_sentences(20, 6)
SETTINGS: dict[str, Any] = {
    "epochs": 5,
    "patience": 5,
    "refit": False,
    "tuned_layers": None,
    "trained_share": 0.5,
    "dev_share": 0.2,
    "learning_rate": 2e-3,
    "device": "cpu",
    "random_state": 4,
}
#: Fits, and ends itself by a signal that nobody can catch in the middle of epoch 3.
KILLED = """
import os, signal, sys
from pathlib import Path
from sitrepbench.finetuning import FineTuned, training
from sitrepbench.finetuning.place import fits_kept_in
from sitrepbench.models.example import example_sentences
step = training.Training._step
def until(self, rows):
    if self.progress.epoch == 2 and {where!r} == "step" and self._schedule.last_epoch % 6 == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, rows)
training.Training._step = until
write = training.write_trained
def before_state(network, path):
    write(network, path)
    if {where!r} == "checkpoint" and path.name != "best-0.safetensors":
        os.kill(os.getpid(), signal.SIGKILL)
training.write_trained = before_state
with fits_kept_in(Path({folder!r})):
    FineTuned({encoder!r}, **{settings!r}).fit(*example_sentences(20, 6))
"""


def fitted(encoder: Path, folder: Path | None, **settings: Any) -> FineTuned:
    with fits_kept_in(folder):
        return FineTuned(str(encoder), **{**SETTINGS, **settings}).fit(SENTENCES, LABELS)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["step", "checkpoint"])
def test_a_killed_fit_goes_on_and_comes_to_the_same(
    tiny_encoder: Path, tmp_path: Path, where: str
) -> None:
    folder = tmp_path / "killed"
    script = KILLED.format(
        folder=str(folder), encoder=str(tiny_encoder), settings=SETTINGS, where=where
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (own,) = folder.iterdir()
    assert (own / "last.pt").is_file()
    steps_before = len(read_points(own / "curve.jsonl"))
    resumed = fitted(tiny_encoder, folder)
    assert len(read_points(own / "curve.jsonl")) > steps_before
    whole = fitted(tiny_encoder, tmp_path / "whole")
    np.testing.assert_array_equal(resumed.predict_proba(SENTENCES), whole.predict_proba(SENTENCES))
    one, other = read_curves(folder), read_curves(tmp_path / "whole")
    told = ["step", "epoch", "train_loss", "learning_rate", "dev_loss", "dev_macro_f1"]
    assert one[told].equals(other[told])


def test_a_fit_that_goes_on_does_the_rest_alone(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sitrepbench.finetuning import training

    epochs: list[int] = []
    epoch = training.Training._epoch

    def counted(self: Any, curve: CurveFile) -> None:
        if len(epochs) == 2:
            raise KeyboardInterrupt
        epochs.append(self.progress.epoch + 1)
        epoch(self, curve)

    monkeypatch.setattr(training.Training, "_epoch", counted)
    with pytest.raises(KeyboardInterrupt):
        fitted(tiny_encoder, tmp_path)
    del epochs[:]
    with pytest.raises(KeyboardInterrupt):
        fitted(tiny_encoder, tmp_path)
    assert epochs == [3, 4]


def test_a_finished_fit_is_taken_and_a_damaged_one_begun_anew(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sitrepbench.finetuning import training

    first = fitted(tiny_encoder, tmp_path).predict_proba(SENTENCES)
    monkeypatch.setattr(training.Training, "run", lambda self: pytest.fail("fitted again"))
    np.testing.assert_array_equal(fitted(tiny_encoder, tmp_path).predict_proba(SENTENCES), first)
    monkeypatch.undo()
    (own,) = tmp_path.iterdir()
    (own / "done.json").unlink()
    (own / "last.pt").write_bytes(b"half a checkpoint")
    np.testing.assert_array_equal(fitted(tiny_encoder, tmp_path).predict_proba(SENTENCES), first)


def emptied(folder: Path) -> None:
    (folder / "done.json").write_text("")


def without_weights(folder: Path) -> None:
    next(folder.glob("best-*")).unlink()


def half_written(folder: Path) -> None:
    path = next(folder.glob("best-*"))
    path.write_bytes(path.read_bytes()[:500])


def of_another_shape(folder: Path) -> None:
    from safetensors.numpy import load, save_file

    path = next(folder.glob("best-*"))
    weights = load(path.read_bytes())
    save_file({**weights, "head.bias": weights["head.bias"][:1]}, path)


@pytest.mark.parametrize("damage", [emptied, without_weights, half_written, of_another_shape])
def test_a_finished_fit_with_a_damaged_file_is_begun_anew(
    tiny_encoder: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    first = fitted(tiny_encoder, tmp_path, epochs=2).predict_proba(SENTENCES)
    (own,) = tmp_path.iterdir()
    damage(own)
    again = fitted(tiny_encoder, tmp_path, epochs=2)
    np.testing.assert_array_equal(again.predict_proba(SENTENCES), first)
    assert json.loads((own / "done.json").read_text())["epoch"] == 2


def test_a_kill_while_the_end_is_written_loses_nothing(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sitrepbench.finetuning import training

    replace, unlink = Path.replace, Path.unlink

    def killed(self: Path, target: Path) -> Path:
        if target.name == "done.json":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        fitted(tiny_encoder, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(training.Training, "_epoch", lambda *_: pytest.fail("trained again"))

    def killed_later(self: Path, *, missing_ok: bool = False) -> None:
        if self.name == "last.pt":
            raise KeyboardInterrupt
        unlink(self, missing_ok=missing_ok)

    # Behind the mark, the state is still there; the next start takes the one and drops the other.
    monkeypatch.setattr(Path, "unlink", killed_later)
    with pytest.raises(KeyboardInterrupt):
        fitted(tiny_encoder, tmp_path)
    monkeypatch.setattr(Path, "unlink", unlink)
    (own,) = tmp_path.iterdir()
    assert (own / "last.pt").exists()
    assert (own / "done.json").exists()
    fitted(tiny_encoder, tmp_path)
    assert not (own / "last.pt").exists()


def test_best_weights_that_are_damaged_under_way_begin_anew(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sitrepbench.finetuning import training

    whole = fitted(tiny_encoder, None, epochs=2).predict_proba(SENTENCES)
    monkeypatch.setattr(training, "mark_done", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted(tiny_encoder, tmp_path, epochs=2)
    monkeypatch.undo()
    (own,) = tmp_path.iterdir()
    half_written(own)
    (own / "curve.jsonl").write_bytes(b"\xff\xfe")
    again = fitted(tiny_encoder, tmp_path, epochs=2).predict_proba(SENTENCES)
    np.testing.assert_array_equal(again, whole)


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_bytes_that_are_no_text_are_no_points(tmp_path: Path) -> None:
    CurveFile(tmp_path).add(step=1, epoch=1, train_loss=1.0)
    with (tmp_path / "curve.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\n")
    assert [point["step"] for point in read_points(tmp_path / "curve.jsonl")] == [1]


def test_a_fit_on_all_rows_that_is_killed_is_gone_on_with(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sitrepbench.finetuning import training

    whole = fitted(tiny_encoder, None, refit=True)
    assert whole.best_epoch_ >= 2
    epochs: list[tuple[bool, int]] = []
    epoch = training.Training._epoch

    def counted(self: Any, curve: CurveFile) -> None:
        on_all = not len(self.dev.codes)
        if on_all and self.progress.epoch == 1 and (True, 2) not in epochs:
            epochs.append((True, 2))
            raise KeyboardInterrupt
        epochs.append((on_all, self.progress.epoch + 1))
        epoch(self, curve)

    monkeypatch.setattr(training.Training, "_epoch", counted)
    with pytest.raises(KeyboardInterrupt):
        fitted(tiny_encoder, tmp_path, refit=True)
    del epochs[:-1]
    again = fitted(tiny_encoder, tmp_path, refit=True)
    assert epochs[1:] == [(True, number) for number in range(2, whole.best_epoch_ + 1)]
    np.testing.assert_array_equal(again.predict_proba(SENTENCES), whole.predict_proba(SENTENCES))
    assert read_curves(tmp_path)["fit"].nunique() == 2


def test_other_rows_or_settings_are_another_fit(tiny_encoder: Path, tmp_path: Path) -> None:
    fitted(tiny_encoder, tmp_path, epochs=1)
    fitted(tiny_encoder, tmp_path, epochs=1, random_state=9)
    with fits_kept_in(tmp_path):
        model = FineTuned(str(tiny_encoder), **{**SETTINGS, "epochs": 1})
        model.fit(SENTENCES.iloc[:-6], LABELS[:-6])
    assert len(list(tmp_path.iterdir())) == 3
    assert read_curves(tmp_path)["fit"].nunique() == 3


def test_weights_of_old_fits_are_not_hoarded(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "KEPT_FITS", 2)
    for seed in range(4):
        fitted(tiny_encoder, tmp_path, epochs=1, random_state=seed)
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 2
    assert len(list(tmp_path.glob("*/curve.jsonl"))) == 4


@pytest.mark.parametrize("measure", ["loss", "macro_f1"])
def test_early_stopping_keeps_the_best_epoch(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measure: str
) -> None:
    from sitrepbench.finetuning import training

    values = iter([0.9, 0.5, 0.6, 0.7])

    def watched(self: Any) -> dict[str, float]:
        value = next(values)
        return {"dev_loss": value, "dev_macro_f1": 1 - value}

    monkeypatch.setattr(training.Training, "_watched", watched)
    model = fitted(tiny_encoder, tmp_path, choose_by=measure, patience=2)
    assert (model.best_epoch_, model.n_epochs_) == (1, 3)
    (own,) = tmp_path.iterdir()
    (best,) = own.glob("best-*.safetensors")
    assert best.name == f"best-{model.best_epoch_}.safetensors"
    assert not (own / "last.pt").exists()


def test_curves_say_what_happened(tiny_encoder: Path, tmp_path: Path) -> None:
    model = fitted(tiny_encoder, tmp_path, patience=9)
    curves = read_curves(tmp_path)
    watched = curves[curves["dev_loss"].notna()]
    assert list(watched["epoch"]) == list(range(model.n_epochs_ + 1))
    assert watched["dev_loss"].idxmin() == watched.index[model.best_epoch_]
    trained = curves[curves["train_loss"].notna()]
    assert trained["train_loss"].iloc[-1] < trained["train_loss"].iloc[0]
    rates = trained["learning_rate"].to_numpy()
    assert rates.max() <= SETTINGS["learning_rate"]
    assert rates[-1] < rates.max() / 2
    assert curves["step"].is_monotonic_increasing


def test_points_behind_a_checkpoint_stand_once_and_half_lines_are_dropped(tmp_path: Path) -> None:
    file = tmp_path / "curve.jsonl"
    curve = CurveFile(tmp_path)
    for step in (1, 2, 3):
        curve.add(step=step, epoch=1, train_loss=1.0 / step)
    whole = file.read_text()
    with file.open("a") as opened:
        opened.write('{"step": 4, "ep')
    assert [point["step"] for point in read_points(file)] == [1, 2, 3]
    again = CurveFile(tmp_path)
    assert file.read_text() == whole
    # The killed process's last steps, done again, and what it had not come to.
    again.add(step=3, epoch=1, train_loss=1.0 / 3)
    again.add(step=3, epoch=1, dev_loss=0.5, dev_macro_f1=0.4)
    again.add(step=4, epoch=2, train_loss=0.25)
    added = file.read_text().removeprefix(whole)
    assert file.read_text().startswith(whole)
    assert added.count("\n") == 2
    told = [(point["step"], "dev_loss" in point) for point in read_points(file)]
    assert told == [(1, False), (2, False), (3, False), (3, True), (4, False)]
