"""Whether a model answers the same in another process, where texts hash otherwise."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sitrepbench.models.parameters import Finding
from sitrepbench.models.trial import FAILURES, Trial, close, told_error

_SCRIPT = "import sys; from sitrepbench.models.processes import answer; answer(sys.argv[1])"
_GIVEN, _FOUND = "given.pickle", "found.pickle"
_EXPECTED = "the same answers in every process, for sweeps compute runs in several"


def check_processes(trial: Trial) -> Iterator[Finding]:
    """Yield how the answers of another process differ from those of this one.

    Parameters
    ----------
    trial : Trial
        Fitted, with its answers.
    """
    modules = {type(step).__module__ for _, step in trial.pipeline.steps}
    if "__main__" in modules:
        yield _unchecked("its class is defined in __main__, which other processes do not have")
        return
    with tempfile.TemporaryDirectory(prefix="sitrepbench-") as folder:
        try:
            # All but the fitted model and its answers, which the other process has to find.
            given = (trial.pipeline, trial.train, trial.labels, trial.test, trial.test_labels)
            content = pickle.dumps(given)
        except FAILURES as error:
            yield _unchecked(f"the unfitted model cannot be pickled: {told_error(error)}")
            return
        (Path(folder) / _GIVEN).write_bytes(content)
        said = _call(folder)
        found = Path(folder) / _FOUND
        if not found.is_file():
            yield _failed(f"another process ends without an answer{said}")
            return
        kind, told = pickle.loads(found.read_bytes())
    if kind == "unchecked":
        yield _unchecked(f"another process cannot load it: {told}")
    elif kind == "failed":
        yield _failed(f"in another process it fails: {told}")
    else:
        labels, probabilities = told
        differing = int((labels != trial.answers[0]).sum())
        if differing or not close(probabilities, trial.answers[1]):
            yield _failed(
                f"fitted in another process, it differs in {differing} of {len(labels)} labels"
                + ("" if differing else ", and in probabilities")
            )


def answer(folder: str) -> None:
    """Fit and ask the model that was laid into a folder, and lay what came of it beside."""
    found: tuple[str, Any]
    try:
        trial = Trial(*pickle.loads((Path(folder) / _GIVEN).read_bytes()))
    except FAILURES as error:
        found = ("unchecked", told_error(error))
    else:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = ("answers", trial.ask(trial.fit(), trial.test))
        except FAILURES as error:
            found = ("failed", told_error(error))
    (Path(folder) / _FOUND).write_bytes(pickle.dumps(found))


def _call(folder: str) -> str:
    """Run `answer` in another process; return how it ended, for where it leaves nothing."""
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, folder],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    last = done.stderr.strip().rpartition("\n")[2]
    return f" (exit code {done.returncode}{f'; {last}' if last else ''})"


def _unchecked(why: str) -> Finding:
    return Finding(
        "processes",
        "note",
        f"not checked: {why}",
        _EXPECTED,
        "Define the class in a module that Python finds, and give it arguments that pickle.",
    )


def _failed(found: str) -> Finding:
    return Finding(
        "processes",
        "error",
        found,
        _EXPECTED,
        "Python's hash() of texts, and the order of sets of texts, differ between processes: sort "
        "sets, and take hashlib or zlib.crc32 instead of hash().",
    )
