"""What a model has to keep to, so that its runs can be compared; checked on a small dataset."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone

from sitrepbench.data.dataset import DOCUMENT_ID
from sitrepbench.errors import DataError, ModelError
from sitrepbench.models.example import example_sentences
from sitrepbench.models.parameters import Finding, arguments, check_parameters
from sitrepbench.models.pipeline import build_pipeline, unset_seeds
from sitrepbench.models.processes import check_processes
from sitrepbench.models.trial import (
    FAILURES,
    PROBABILITY_TOLERANCE,
    Labels,
    Trial,
    close,
    told_error,
)

#: How libraries say that they expected numbers.
_CONVERSION = "convert|literal|numeric|inferred|dtype"

__all__ = ["CHECKS", "Finding", "check_model"]


def check_model(
    model: Any,
    features: Any = None,
    *,
    sentences: pd.DataFrame | None = None,
    labels: Sequence[str] | None = None,
    seed: int = 0,
    another_process: bool = False,
) -> list[Finding]:
    """Return everything in which a model breaks the contract; an empty list if nothing.

    It has to clone, keep its parameters, give the same answers to the same data, one known label
    per sentence, and probabilities, if any, that sum to one in the order of ``classes_``. What it
    says of a document must depend neither on the order of rows nor on which other documents are
    there, be it one sentence, nor on what other models were fitted on. It must not change its
    input, and it must survive pickling and a training set that lacks a label.

    Parameters
    ----------
    model : classifier
        Unfitted.
    features : transformer or None
        What it reads; None where it reads the sentence table itself.
    sentences : DataFrame or None
        What to try it on, as `sitrepbench.data.Dataset.frame` without the columns that tell
        labels; six documents or more. By default a small made-up dataset.
    labels : sequence of str or None
        The labels of ``sentences``.
    seed : int
        Set wherever the model draws random numbers and has no seed.
    another_process : bool
        Whether to compare with the answers of a process that hashes texts otherwise as well,
        which takes some seconds.

    Raises
    ------
    ModelError
        When the features and the model cannot be put together at all.
    DataError
        When ``sentences`` and ``labels`` do not fit together or are too few.
    """
    if not hasattr(model, "fit") or not hasattr(model, "predict"):
        raise ModelError(
            f"{type(model).__name__} has no fit and predict; a model is a scikit-learn classifier"
        )
    frame, known = _data(sentences, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = [part for part in (model, features) if part is not None]
        found = [
            replace(finding, found=f"{type(part).__name__}: {finding.found}")
            for part in given
            for finding in check_parameters(part)
        ]
        if found:
            return found
        pipeline = build_pipeline(features, model)
        pipeline = clone(pipeline).set_params(**dict.fromkeys(unset_seeds(pipeline), seed))
        held_out = _last_third(frame)
        trial = Trial(
            pipeline,
            frame[~held_out].reset_index(drop=True),
            known[~held_out],
            frame[held_out].reset_index(drop=True),
            known[held_out],
        )
        found += _check_fit(trial)
        if any(finding.severity == "error" for finding in found):
            return found  # nothing else can be told of a model that does not fit or answer
        for check in (*CHECKS, check_processes) if another_process else CHECKS:
            found += _attempt(check, trial)
    return found


def _data(
    sentences: pd.DataFrame | None, labels: Sequence[str] | None
) -> tuple[pd.DataFrame, Labels]:
    if (sentences is None) != (labels is None):
        raise DataError("give both, sentences and labels, or neither")
    if sentences is None or labels is None:
        return example_sentences()
    if len(sentences) != len(labels):
        raise DataError(f"{len(sentences)} sentences, but {len(labels)} labels")
    n_documents = sentences[DOCUMENT_ID].nunique()
    if n_documents < 6 or len(set(labels)) < 2:
        raise DataError(
            f"checking a model takes six documents and two labels, found {n_documents} and "
            f"{len(set(labels))}"
        )
    return sentences.reset_index(drop=True), np.asarray(labels, dtype=object)


def _last_third(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    codes, documents = pd.factorize(frame[DOCUMENT_ID])
    return np.asarray(codes >= len(documents) - len(documents) // 3)


def _attempt(check: Callable[[Trial], Iterator[Finding]], trial: Trial) -> Iterator[Finding]:
    """Yield a check's findings; what goes wrong on the way is one of them."""
    try:
        yield from check(trial)
    except FAILURES as error:
        name = check.__name__.removeprefix("_").removeprefix("check_")
        yield Finding(
            name,
            "error",
            told_error(error),
            "no error",
            "Fit and predict must work on any rows with the columns of the training rows.",
        )


def _check_fit(trial: Trial) -> Iterator[Finding]:
    """Fit once and ask once; what the other checks compare with is kept on the trial."""
    pipeline = clone(trial.pipeline)
    before = arguments(pipeline.steps[-1][1])
    frame, labels = trial.train.copy(deep=True), trial.labels.copy()
    try:
        trial.fitted = pipeline.fit(frame, labels)
    except FAILURES as error:
        yield Finding(
            "fits",
            "error",
            f"fit fails: {told_error(error)}",
            "a model that fits a few hundred sentences of five labels",
            _fit_advice(error, trial.known),
        )
        return
    after = arguments(pipeline.steps[-1][1])
    altered = sorted(name for name in before if before[name] != after.get(name))
    if altered:
        yield Finding(
            "unchanged_parameters",
            "error",
            f"fit changes {', '.join(altered)}",
            "fit leaves the constructor's arguments alone",
            "Keep what is learned in attributes that end with an underscore, and fit clones of "
            "estimators that were given.",
        )
    changed = not frame.equals(trial.train) or list(labels) != list(trial.labels)
    yield from _input_finding("fit changes the sentences or the labels", changed)
    try:
        trial.answers = trial.ask(trial.fitted, trial.test)
    except FAILURES as error:
        told = str(error) if isinstance(error, ModelError) else told_error(error)
        yield Finding(
            "answers",
            "error",
            told,
            "one label of the training data per sentence, and probabilities, if any, of shape "
            "(n_sentences, n_classes) that are not negative and sum to one",
            "Mend predict or predict_proba; without predict_proba a model has no probabilities.",
        )
    yield from _input_finding("predict changes the sentences", trial.changed)


def _fit_advice(error: BaseException, labels: tuple[str, ...]) -> str:
    """Return what to do about a fit that fails; a label in a message of conversion tells much."""
    said = str(error)
    if any(repr(label) in said for label in labels) and re.search(_CONVERSION, said):
        return (
            "Labels are texts: encode them as numbers in fit (np.unique(y, return_inverse=True)), "
            "and give texts back in predict."
        )
    return (
        "If it cannot read such features, choose others or let it read the sentence table itself "
        "(reads_frame = True)."
    )


def _input_finding(what: str, changed: bool) -> Iterator[Finding]:
    if changed:
        yield Finding(
            "input_unchanged",
            "error",
            f"{what} that it is given",
            "input that is as it was: other models read it as well",
            "Work on a copy.",
        )


def _check_deterministic(trial: Trial) -> Iterator[Finding]:
    labels, probabilities = trial.ask(trial.fit(), trial.test)
    differing = int((labels != trial.answers[0]).sum())
    if differing or not close(probabilities, trial.answers[1]):
        yield Finding(
            "deterministic",
            "error",
            f"two fits on the same rows differ in {differing} of {len(labels)} labels"
            + ("" if differing else ", and in probabilities"),
            "the same answers, to the last label",
            "Draw random numbers from a parameter named random_state only; it is seeded per cell.",
        )


def _check_label_order(trial: Trial) -> Iterator[Finding]:
    labels, probabilities = trial.answers
    if np.isnan(probabilities).any():
        return
    names = np.array(trial.known, dtype=object)
    likeliest = probabilities.max(axis=1)
    given = probabilities[np.arange(len(labels)), np.searchsorted(names, labels)]
    disagreeing = given < likeliest - PROBABILITY_TOLERANCE
    if not disagreeing.any():
        return
    pairs = set(zip(names[probabilities.argmax(axis=1)], labels, strict=True))
    columns, said = {a for a, _ in pairs}, {b for _, b in pairs}
    if len(columns) > 1 and len(pairs) == len(columns) == len(said):
        swapped = ", ".join(f"{a} stands where {b} is meant" for a, b in sorted(pairs) if a != b)
        yield Finding(
            "label_order",
            "error",
            f"the columns of predict_proba are in another order than classes_: {swapped}",
            "column k of predict_proba belongs to classes_[k]",
            "Set classes_ to the labels in the order of the columns.",
        )
        return
    yield Finding(
        "label_order",
        "note",
        f"for {int(disagreeing.sum())} of {len(labels)} sentences the predicted label is not the "
        "likeliest one",
        "usually the likeliest label is predicted",
        "Fine where that is meant; otherwise compare the order of classes_ with the columns.",
    )


def _check_row_order(trial: Trial) -> Iterator[Finding]:
    order = np.random.default_rng(1).permutation(len(trial.test))
    shuffled = trial.test.iloc[order].reset_index(drop=True)
    labels, probabilities = trial.ask(trial.fitted, shuffled)
    differing = int((labels != trial.answers[0][order]).sum())
    if differing or not close(probabilities, trial.answers[1][order]):
        yield Finding(
            "row_order",
            "error",
            f"in another order of the rows {differing} of {len(labels)} labels change"
            + ("" if differing else " not, but probabilities do"),
            "answers that belong to sentences, whatever the order of the rows",
            "A model that reads documents finds neighbours by document_id and position, not by "
            "row; one that draws numbers must not draw them row by row in predict.",
        )


def _check_no_peeking(trial: Trial) -> Iterator[Finding]:
    codes, documents = pd.factorize(trial.test[DOCUMENT_ID])
    alone = codes < max(len(documents) // 2, 1)
    labels, probabilities = trial.ask(trial.fitted, trial.test[alone].reset_index(drop=True))
    differing = int((labels != trial.answers[0][alone]).sum())
    if differing or not close(probabilities, trial.answers[1][alone]):
        yield Finding(
            "no_peeking",
            "error",
            f"{differing} of {len(labels)} labels change when other documents are predicted with "
            "them" + ("" if differing else " not, but probabilities do"),
            "what is said of a document depends on the training data and on that document alone",
            "Learn everything (means, vocabularies, thresholds) in fit, nothing in predict.",
        )


def _check_pickles(trial: Trial) -> Iterator[Finding]:
    try:
        restored = pickle.loads(pickle.dumps(trial.fitted))
    except FAILURES as error:
        yield Finding(
            "pickles",
            "error",
            f"the fitted model cannot be pickled: {told_error(error)}",
            "a fitted model that can be sent to another process and back",
            "Keep no lambdas, open files or locks in its attributes.",
        )
        return
    labels, probabilities = trial.ask(restored, trial.test)
    if (labels != trial.answers[0]).any() or not close(probabilities, trial.answers[1]):
        yield Finding(
            "pickles",
            "error",
            "a model that was pickled and restored answers otherwise",
            "the same answers",
            "Keep all that is learned in attributes of the model, none in globals.",
        )


def _check_missing_label(trial: Trial) -> Iterator[Finding]:
    dropped = trial.known[0]
    kept = trial.labels != dropped
    if len(trial.known) < 3:
        return
    fitted = trial.fit(kept)
    labels, _ = trial.ask(fitted, trial.test)
    if hasattr(fitted, "classes_") and dropped in labels and dropped not in fitted.classes_:
        yield Finding(
            "missing_label",
            "note",
            f"it predicts {dropped!r} though no training sentence bears it",
            "labels of the training data, unless a model brings knowledge of its own",
            "Fine for rules; a model that learns should take its labels from y.",
        )


def _check_few_rows(trial: Trial) -> Iterator[Finding]:
    first = trial.test[trial.test[DOCUMENT_ID] == trial.test[DOCUMENT_ID].iloc[0]]
    for what, rows in (("document", first), ("sentence", first.head(1))):
        try:
            trial.ask(trial.fitted, rows.reset_index(drop=True))
        except FAILURES as error:
            yield Finding(
                "few_rows",
                "error",
                f"predict fails on one {what}: "
                + (str(error) if isinstance(error, ModelError) else told_error(error)),
                "answers for any number of rows, for documents are also asked about one by one",
                "Compute nothing in predict that takes several rows, such as quantiles or groups.",
            )
            return


def _check_no_memory(trial: Trial) -> Iterator[Finding]:
    """Fit another clone on the held-out rows, and ask the first one again."""
    names = sorted({*trial.labels, *trial.test_labels})
    following = dict(zip(names, names[1:] + names[:1], strict=True))
    other = np.array([following[label] for label in trial.test_labels], dtype=object)
    try:
        clone(trial.pipeline).fit(trial.test.copy(deep=True), other)
    except FAILURES:  # few rows may lack what a fit takes, such as a second label
        rows = pd.concat([trial.train, trial.test], ignore_index=True)
        clone(trial.pipeline).fit(rows, np.concatenate([trial.labels, other]))
    labels, probabilities = trial.ask(trial.fitted, trial.test)
    differing = int((labels != trial.answers[0]).sum())
    if differing or not close(probabilities, trial.answers[1]):
        yield Finding(
            "no_memory",
            "error",
            f"{differing} of {len(labels)} labels of a fitted model change when another one is "
            "fitted on the held-out sentences" + ("" if differing else ", or probabilities do"),
            "a fitted model that knows its own training rows only: one that knows what others "
            "were fitted on has seen the labels that it is scored on",
            "Keep all that is learned in attributes of the model, none in globals, in the class "
            "or in files.",
        )


#: What is tried, in this order, on a model that fits and answers.
CHECKS: tuple[Callable[[Trial], Iterator[Finding]], ...] = (
    _check_deterministic,
    _check_label_order,
    _check_row_order,
    _check_no_peeking,
    _check_pickles,
    _check_missing_label,
    _check_few_rows,
    _check_no_memory,
)
