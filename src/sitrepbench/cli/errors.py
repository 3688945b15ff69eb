"""``sitrepbench errors``: what a finished run gets wrong, on the terminal, as files, in MLflow."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from sitrepbench.analysis.errors import ErrorAnalysis, analyse_errors, annotators_agree
from sitrepbench.analysis.refit import TopFeatures, first_cell, fitted_again, read_features
from sitrepbench.cli.stored import open_store
from sitrepbench.cli.verify import rebuilt
from sitrepbench.config.run_config import RunConfig, build
from sitrepbench.config.targets import TARGET
from sitrepbench.data.corpus import load_corpus
from sitrepbench.data.dataset import Dataset
from sitrepbench.data.shipped import shipped_card
from sitrepbench.errors import ConfigError, DataError, SitrepBenchError, TrackingError
from sitrepbench.parts import shown_part
from sitrepbench.report.errors import errors_dict, print_errors
from sitrepbench.report.errors_page import PAGE_FILE, write_errors
from sitrepbench.reuse.embeddings import embeddings_kept_in
from sitrepbench.store.record import RunRecord
from sitrepbench.told import ADHOC
from sitrepbench.tracking.settings import TrackingSettings

#: Features shown per label.
_TOP = 12


def errors_command(parsed: argparse.Namespace) -> int:
    """Look into a run's errors, and return the exit code.

    Raises
    ------
    SitrepBenchError
        When there is no such run or part, or its dataset has changed or cannot be read.
    """
    record = open_store(parsed.results_dir).resolve(parsed.run)
    predictions = record.predictions()
    part = parsed.part or shown_part(predictions.parts)
    dataset, annotators = scored_dataset(record)
    analysis = analyse_errors(
        predictions,
        dataset,
        part=part,
        key=record.key,
        run_name=record.run_name,
        annotators=annotators,
    )
    if parsed.top_features:
        with embeddings_kept_in(Path(parsed.results_dir).expanduser()):
            analysis = replace(analysis, features=features_of(record, part))
    if parsed.json:
        plain = errors_dict(analysis, n_examples=parsed.examples)
        print(json.dumps(plain, indent=1, ensure_ascii=False))
    else:
        print_errors(analysis, n_examples=parsed.examples, console=Console())
    if parsed.output is not None:
        _write(analysis, Path(parsed.output).expanduser(), parsed.examples)
    if not parsed.no_tracking:
        _track(analysis, record, parsed)
    return 0


def scored_dataset(record: RunRecord) -> tuple[Dataset, pd.Series | None]:
    """Return what a run scored, and whether its annotators agreed, where that is known.

    Raises
    ------
    DataError
        When it cannot be read any more, or has changed since.
    """
    config = RunConfig(record.config, record.names)
    trained_on = record.dataset.get("trained_on") or record.dataset
    try:
        dataset = config.build("dataset")
        _check_same(dataset, trained_on, record)
        if trained_on is not record.dataset:
            # Only the protocol knows what it scores, if that is not what it trains on.
            dataset = config.build("protocol").plan(dataset).scored
            _check_same(dataset, record.dataset, record)
    except ChangedDatasetError:
        raise
    except (SitrepBenchError, OSError) as error:
        raise DataError(
            f"run {record.key} was made on dataset {record.dataset['name']!r}, whose sentences "
            f"cannot be read any more: {error}"
        ) from error
    return dataset, _annotators(record.config, dataset)


class ChangedDatasetError(DataError):
    """A dataset that is not what it was when a run was made."""


def _check_same(dataset: Dataset, told: Mapping[str, Any], record: RunRecord) -> None:
    if dataset.digest == told["digest"]:
        return
    raise ChangedDatasetError(
        f"dataset {told['name']!r} has changed since run {record.key} was made (digest "
        f"{str(told['digest'])[:12]} then, {dataset.digest[:12]} now; {told['sentences']:,} "
        f"sentences then, {len(dataset.frame):,} now), so its predictions cannot be laid beside "
        "the sentences. Bring the data back as they were, or run it again"
    )


def _annotators(tree: Mapping[str, Any], dataset: Dataset) -> pd.Series | None:
    """Return whether annotators agreed, from the card that describes what was scored."""
    for card in _cards(tree):
        corpus = load_corpus(card)
        if corpus.dataset.digest == dataset.digest and corpus.annotations is not None:
            return annotators_agree(corpus.annotations)
    return None


def _cards(node: Any) -> Iterator[Path]:
    """Yield the cards that a configuration names."""
    if isinstance(node, Mapping):
        target = str(node.get(TARGET, "")).rpartition(".")[2]
        if target == "load_shipped":
            yield shipped_card(str(node["name"]))
        elif target == "load_card_dataset":
            yield Path(str(node["card_path"])).expanduser()
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _cards(item)


def features_of(record: RunRecord, part: str) -> TopFeatures:
    """Fit a run's model once more, and return the features that speak for each label.

    Raises
    ------
    SitrepBenchError
        When it cannot be built or fitted any more.
    """
    from sitrepbench.config.studies import left_out_by
    from sitrepbench.models.pipeline import build_pipeline, reads_frame
    from sitrepbench.protocols.cells import without_splits
    from sitrepbench.tuning.space import with_settings

    config = rebuilt(record.config, record.names, tuple(record.overrides))
    plan = config.build("protocol").plan(config.build("dataset"))
    cell = first_cell(plan, part)
    if cell is None:
        return TopFeatures(None, f"Nothing is fitted for part {part!r}.")
    search = record.tuning.get("search", {})
    cell = without_splits(plan, cell, [*left_out_by(search), *(search.get("without") or [])])
    node = config.tree["model"]
    for chosen in record.tuning.get("chosen", []):
        # One fit may serve several parts, whose names are joined then.
        if part in chosen["part"].split("+") and (chosen["repeat"], chosen["fold"]) == (
            cell.repeat,
            cell.fold,
        ):
            node = with_settings(node, chosen["settings"])
    model = build(node, path="model")
    features = None if reads_frame(model) else config.build("features")
    pipeline = build_pipeline(features, model)
    where = f"its {len(cell.train):,} training sentences"
    n_cells = sum(other.part == part for other in plan.cells)
    if n_cells > 1:
        where = f"the {len(cell.train):,} training sentences of the first of {n_cells} folds"
    if len(pipeline.steps) > 1:
        pipeline = fitted_again(plan, cell, pipeline=pipeline, seed=config.seed)
    return read_features(pipeline, where=where, n_features=_TOP)


def _write(analysis: ErrorAnalysis, folder: Path, n_examples: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_errors(analysis, folder, n_examples=n_examples)
    except OSError as error:
        raise ConfigError(f"--output {folder}: cannot be written: {error.strerror}") from error
    _tell(f"Page, tables and figures: {folder / PAGE_FILE}")


def _track(analysis: ErrorAnalysis, record: RunRecord, parsed: argparse.Namespace) -> None:
    """Add the analysis to the run in MLflow; where it cannot be done, say so in one line."""
    try:
        settings = _settings(record, parsed)
        if settings is None:
            _tell("Not added to MLflow: the run was made with tracking=none.")
            return
        from sitrepbench.tracking.error_pages import ERRORS_FOLDER, log_errors

        added = log_errors(
            record.key,
            settings,
            lambda folder: write_errors(analysis, folder, n_examples=parsed.examples),
            part=analysis.part,
        )
    except TrackingError as error:
        _tell(f"Not added to MLflow: {error}")
        return
    if added:
        _tell(f"Added to the run in MLflow: {ERRORS_FOLDER}/{analysis.part}/{PAGE_FILE}")
    else:
        _tell(f"Not added to MLflow: the run is not in {settings.shown_uri}.")


def _settings(record: RunRecord, parsed: argparse.Namespace) -> TrackingSettings | None:
    """Return where the run was logged; the store may have been moved since."""
    from sitrepbench.tracking.settings import tracking_settings

    results = Path(parsed.results_dir).expanduser().resolve()
    study = record.study or ADHOC
    if parsed.tracking_uri is not None:
        return tracking_settings(results, study, uri=parsed.tracking_uri)
    made = RunConfig(record.config, record.names).build("tracking")
    if made is None:
        return None
    settings: TrackingSettings = made(results, study)
    return settings


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
