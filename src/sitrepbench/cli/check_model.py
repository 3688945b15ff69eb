"""``sitrepbench check-model``: what a model breaks of what runs rely on, and how to mend it."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from sitrepbench.cli.described import check_description, check_probabilities
from sitrepbench.cli.lines import paragraph_lines, print_lines
from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import ABOUT, RunConfig, check_config
from sitrepbench.config.targets import TARGET
from sitrepbench.data.dataset import CLUSTER, DOCUMENT_ID, LABEL, SECONDARY, SPLIT, Dataset
from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.models.contract import check_model
from sitrepbench.models.example import example_sentences
from sitrepbench.models.parameters import Finding
from sitrepbench.models.pipeline import build_pipeline, reads_frame, unset_seeds
from sitrepbench.models.trial import FAILURES, told_error
from sitrepbench.parts import is_test_part

BROKEN = 1
#: About how many sentences of a user's dataset a model is tried on.
SENTENCES = 600
#: How many of its documents it is tried on at least.
DOCUMENTS = 6
#: What was found to hold where a check has nothing to say, in the order of trying.
HOLDS = {
    "clones": "a clone is a new, unfitted model with the same parameters",
    "parameters": "parameters can be read and set, and stay as they are",
    "fits": "it fits",
    "unchanged_parameters": "fitting leaves its parameters alone",
    "input_unchanged": "sentences and labels stay as they are",
    "answers": "one known label per sentence; probabilities, if any, sum to one",
    "deterministic": "two fits give the same answers",
    "label_order": "the label it gives is the likeliest one, where it has probabilities",
    "row_order": "answers do not depend on the order of the rows",
    "no_peeking": "answers do not depend on the other documents that are asked about",
    "pickles": "a fitted model can be sent to another process",
    "missing_label": "it works on training data that lack a label",
    "few_rows": "it answers for one document and for one sentence",
    "no_memory": "answers do not depend on what other models were fitted on",
    "processes": "another process, where texts hash otherwise, gives the same answers",
    "description": "its _about_ names what it is, where it comes from and what it costs",
    "probabilities": "it has probabilities, or has none, as _about_ says",
    "space": "every setting of its space exists, and it fits at its ends",
    "grid": "every setting of its grid exists, and it fits with its values",
}
#: Checks that end the trial where they fail.
_FIRST = ("clones", "parameters")
_SECOND = ("fits", "unchanged_parameters", "input_unchanged", "answers")
#: Checks of what a model's file says of it.
_DECLARED = ("probabilities", "space", "grid")


@dataclass(frozen=True)
class Checked:
    """What came of trying a model.

    Parameters
    ----------
    title : str
        Model, features and what the model's target is.
    tried_on : str
        The sentences.
    findings : tuple of Finding
        In no order.
    not_tried : tuple of str
        Checks that others stood in the way of.
    cost : str
        What a fit took, beside what the model says of it.
    """

    title: str
    tried_on: str
    findings: tuple[Finding, ...]
    not_tried: tuple[str, ...]
    cost: str

    @property
    def broken(self) -> bool:
        """Whether anything has to be mended."""
        return any(finding.severity == "error" for finding in self.findings)

    def outcome(self, check: str) -> str:
        """Return ``passed``, ``note``, ``failed`` or ``not tried``."""
        if check in self.not_tried:
            return "not tried"
        found = {finding.severity for finding in self.findings if finding.check == check}
        return "failed" if "error" in found else "note" if found else "passed"


def check_model_command(parsed: argparse.Namespace) -> int:
    """Check a model as it is named on the command line, print, and return the exit code.

    Raises
    ------
    ConfigError
        When the configuration does not compose.
    ModelError
        When the model, or its features, cannot be built.
    """
    config_dirs = [Path(parsed.config_dir)] if parsed.config_dir else []
    with redirect_stdout(sys.stderr):  # what a model prints is no part of the answer
        checked = check_configured(parsed.overrides, config_dirs=config_dirs)
    if parsed.json:
        print(json.dumps(_plain(checked), indent=1, ensure_ascii=False))
    else:
        print_lines(_lines(checked))
    return BROKEN if checked.broken else 0


def check_configured(words: Sequence[str], *, config_dirs: Sequence[Path] = ()) -> Checked:
    """Compose, build and try a model; a bare word is the name of a choice of ``model``.

    Raises
    ------
    SitrepBenchError
        As `check_model_command` does; and DataError where a dataset is given that cannot be used.
    """
    config, own_data = _composed(words, config_dirs)
    try:
        model = config.build("model")
        features = None if model is None or reads_frame(model) else config.build("features")
    except ConfigError as error:
        raise ModelError(f"cannot be built: {error}") from error
    except SystemExit as error:
        raise ModelError(f"cannot be built: it ends the program, {told_error(error)}") from error
    if model is None:
        raise ModelError("model._target_ is null; name a class, such as sklearn.svm.LinearSVC")
    sentences, labels = _development_rows(config) if own_data else (None, None)
    found = check_model(
        model,
        features,
        sentences=sentences,
        labels=labels,
        seed=config.seed,
        another_process=True,
    )
    node = config.tree["model"]
    failed = {finding.check for finding in found if finding.severity == "error"}
    cost = ""
    if failed & {*_FIRST, *_SECOND}:
        found += check_description(node)
    else:
        frame, known = example_sentences() if sentences is None else (sentences, labels)

        def fit(built: Any) -> Any:
            return _fitted(features, built, frame, known, seed=config.seed)

        try:
            fitted, seconds = fit(model)
        except FAILURES as error:
            raise ModelError(f"fit fails on {len(frame)} sentences: {told_error(error)}") from error
        found += check_description(node, fit=fit)
        found += check_probabilities(node, hasattr(fitted, "predict_proba"))
        declared = (node.get(ABOUT) or {}).get("cost")
        took = "less than 0.01 s" if seconds < 0.01 else f"{seconds:.2f} s"
        cost = f"A fit on {len(frame)} sentences took {took}" + (
            f"; its _about_ says {declared}." if declared else "."
        )
    on = "" if features is None else f" on {config.names['features']}"
    return Checked(
        f"{config.names['model']}{on}: {node[TARGET]}",
        _told(sentences, config),
        tuple(found),
        tuple(_untried(failed, described=node.get(ABOUT) is not None)),
        cost,
    )


def _composed(words: Sequence[str], config_dirs: Sequence[Path]) -> tuple[RunConfig, bool]:
    """Return the configuration, and whether it names a dataset to try the model on."""
    overrides = [word if "=" in word or word[:1] == "~" else f"model={word}" for word in words]
    one = "check-model takes one model: give every key one value"
    if sum(not re.search("=|^~", word) for word in words) > 1:
        raise ConfigError(one)
    own_data = any(text.lstrip("+").startswith("dataset") for text in overrides)
    if not own_data:
        # A run needs one; nothing of it is read here.
        overrides.append("dataset=sitrep")
    try:
        return check_config(compose(overrides, config_dirs=config_dirs)), own_data
    except ConfigError as error:
        if "--multirun" in str(error):
            raise ConfigError(one) from error
        raise


def _development_rows(config: RunConfig) -> tuple[pd.DataFrame, list[str]]:
    """Return some whole documents of the dataset as a model sees them, and their labels."""
    dataset = config.build("dataset")
    if not isinstance(dataset, Dataset):
        raise ConfigError("dataset._target_ must return a sitrepbench Dataset")
    frame = dataset.frame[~dataset.frame[SPLIT].map(is_test_part)]
    documents = frame[DOCUMENT_ID].unique()
    # As many whole documents as hold about so many sentences, but those that a trial takes.
    count = max(DOCUMENTS, round(SENTENCES * len(documents) / max(len(frame), 1)))
    if count < len(documents):
        documents = documents[np.linspace(0, len(documents) - 1, count).astype(int)]
    frame = frame[frame[DOCUMENT_ID].isin(documents)].reset_index(drop=True)
    return frame.drop(columns=[LABEL, SECONDARY, SPLIT, CLUSTER]), frame[LABEL].tolist()


def _fitted(features: Any, model: Any, frame: pd.DataFrame, labels: Any, *, seed: int) -> Any:
    """Return a fitted clone, and the seconds that it took."""
    pipeline = clone(build_pipeline(features, model))
    pipeline.set_params(**dict.fromkeys(unset_seeds(pipeline), seed))
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # runs note them
        pipeline.fit(frame, labels)
    return pipeline, time.perf_counter() - started


def _untried(failed: set[str], *, described: bool) -> list[str]:
    """Return the checks that were not made: others failed, or there is nothing to check."""
    if failed & {*_FIRST}:
        # A model that does not clone has no parameters that could be compared.
        tried = {*(_FIRST[:1] if "clones" in failed else _FIRST)}
    elif failed & {*_SECOND}:
        tried = {*_FIRST, *(_SECOND[:1] if "fits" in failed else _SECOND)}
    else:
        tried = {*HOLDS} - {*_DECLARED}
    if described:
        tried |= {*_DECLARED} if "pickles" in tried else {*_DECLARED} - {"probabilities"}
    return [name for name in HOLDS if name not in tried | {"description"}]


def _told(sentences: pd.DataFrame | None, config: RunConfig) -> str:
    if sentences is None:
        return "Tried on a small made-up dataset; with dataset=... on yours."
    n_documents = sentences[DOCUMENT_ID].nunique()
    return (
        f"Tried on {len(sentences)} sentences ({n_documents} documents) of "
        f"{config.names['dataset']}; test splits are not read."
    )


def _lines(checked: Checked) -> list[str]:
    lines = [*paragraph_lines(checked.title), *paragraph_lines(checked.tried_on), ""]
    outcomes = {name: checked.outcome(name) for name in HOLDS}
    words = {"passed": "ok", "failed": "FAIL", "not tried": "-", "note": "note"}
    for name, outcome in outcomes.items():
        head = f"{words[outcome]:<5} {name}"
        if outcome in ("passed", "not tried"):
            said = HOLDS[name] if outcome == "passed" else "not tried"
            lines += _hanging(f"{head:<27}", said)
            continue
        lines.append(head)
        for finding in checked.findings:
            if finding.check == name:
                lines += _hanging("      found:    ", finding.found)
                lines += _hanging("      expected: ", finding.expected)
                lines += _hanging("      do:       ", finding.advice)
    numbers = [
        f"{list(outcomes.values()).count(outcome)} {outcome}"
        for outcome in ("passed", "failed", "not tried")
    ]
    notes = sum(finding.severity == "note" for finding in checked.findings)
    told = f"{', '.join(numbers)}, {notes} {'note' if notes == 1 else 'notes'}. {checked.cost}"
    return [*lines, "", *paragraph_lines(told)]


def _hanging(head: str, text: str) -> list[str]:
    """Return a text behind a head; its further lines stand under its first."""
    indent = " " * len(head)
    lines = paragraph_lines(text or "-", indent=indent)
    return [head + lines[0][len(indent) :], *lines[1:]]


def _plain(checked: Checked) -> dict[str, Any]:
    return {
        "model": checked.title,
        "passed": not checked.broken,
        "checks": {name: checked.outcome(name) for name in HOLDS},
        "findings": [asdict(finding) for finding in checked.findings],
        "tried_on": checked.tried_on,
        "cost": checked.cost,
    }


__all__ = ["Checked", "check_configured", "check_model_command"]
