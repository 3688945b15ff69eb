"""Sitrepbench as one of the ways: its command lines, its data, and what it left behind."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweep_ways.grid import FEATURES, MODELS, SETTINGS, identity, model_file
from sweep_ways.processes import WAYS, Timed, timed

from sitrepbench.data.dataset import COLUMNS, DOCUMENT_ID, SPLIT
from sitrepbench.data.shipped import load_shipped

PROGRAM = ("-m", "sitrepbench")
EXECUTORS = {
    "local": ("executor=local", "executor.workers=2"),
    "serial": ("executor=serial",),
}
#: Whole documents are taken until there are so many sentences.
TRAIN_SENTENCES = 2000
TEST_SENTENCES = 680
#: A cheap model whose parameter makes as many different runs as are asked for.
CHEAP_MODEL = "sweep_nb"


def write_sentences(path: Path, *, train: int, test: int) -> dict[str, int]:
    """Write a part of the corpus' training and dev splits; return the counts of sentences."""
    frame = load_shipped("sitrep").frame
    taken = []
    for split, wanted in (("train", train), ("dev", test)):
        part = frame[frame[SPLIT] == split]
        sizes = part.groupby(DOCUMENT_ID).size()
        # An order that has nothing to do with what the documents tell.
        order = sorted(sizes.index, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        sizes = sizes[order]
        documents = sizes.index[: int((sizes.cumsum() < wanted).sum()) + 1]
        taken += list(part.index[part[DOCUMENT_ID].isin(documents)])
    # The corpus' own order, which the program's loader would make as well: some models depend
    # on the order of the training rows.
    chosen = frame.loc[sorted(taken), list(COLUMNS)]
    chosen.to_csv(path, index=False)
    return {str(name): int(count) for name, count in chosen[SPLIT].value_counts().items()}


def write_models(folder: Path) -> None:
    """Write the config group ``model`` for Hydra: the four models and the cheap one."""
    (folder / "model").mkdir(parents=True)
    for name, arguments in MODELS.items():
        (folder / "model" / f"{name}.yaml").write_text(model_file(arguments), encoding="utf-8")
    cheap = {"_target_": "sklearn.naive_bayes.ComplementNB", "alpha": 1.0}
    (folder / "model" / f"{CHEAP_MODEL}.yaml").write_text(json.dumps(cheap), encoding="utf-8")


def write_naive_config(folder: Path, *, sentences: Path, scores: Path, store: Path) -> None:
    """Write the rest of the naive way's configuration: features and the main file."""
    (folder / "features").mkdir()
    for name in FEATURES:
        (folder / "features" / f"{name}.yaml").write_text(f"name: {name}\n", encoding="utf-8")
    main = {
        "defaults": [{"features": "word"}, {"model": "sweep_svm"}, "_self_"],
        "sentences": str(sentences),
        "scores": str(scores),
        "tracking_uri": f"sqlite:///{store}/mlflow.db",
    }
    (folder / "config.yaml").write_text(json.dumps(main), encoding="utf-8")


def make_database(kind: str, folder: Path) -> float:
    """Make a tracking database in a folder and return the seconds that it took."""
    folder.mkdir(parents=True)
    return timed([WAYS / "make_database.py", kind, folder], folder=folder).seconds


def sweep_command(
    overrides: Sequence[str],
    *,
    results: Path,
    config: Path,
    sentences: Path,
    executor: str,
    tracked: bool = True,
) -> list[str]:
    """Return the arguments of one sweep with this program."""
    return [
        "run",
        "-m",
        "--config-dir",
        str(config),
        "dataset=table",
        f"dataset.path={sentences}",
        "protocol=official",
        f"results_dir={results}",
        *EXECUTORS[executor],
        *([] if tracked else ["tracking=none"]),
        *overrides,
    ]


def sweep(arguments: Sequence[str], *, folder: Path, expected: int, results: Path) -> Timed:
    """Run a sweep, and end the benchmark unless every run is stored and logged once."""
    done = timed([*PROGRAM, *arguments], folder=folder)
    found = len(records(results))
    if found != expected:
        sys.exit(f"FAILED: {found} records in {results}, expected {expected}\n{done.output}")
    if "tracking=none" not in arguments:
        check_logged(results / "mlflow.db", expected, "tags.key = 'kind' AND tags.value = 'run'")
    return done


def records(results: Path) -> list[dict[str, Any]]:
    """Return every run's record of a results store, as plain values."""
    return [json.loads(path.read_bytes()) for path in sorted(results.glob("runs/*/record.json"))]


def scores_of(found: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return macro-F1 by configuration."""
    scores = {}
    for record in found:
        settings = {name: record["config"]["model"][name] for name in SETTINGS}
        names = {"features": record["names"]["features"], "model": record["names"]["model"]}
        scores[identity({**names, **settings})] = record["scores"]["dev"]["macro_f1"]
    return scores


def fit_and_predict(found: Sequence[dict[str, Any]]) -> float:
    """Return the seconds that the runs say they fitted and predicted."""
    return sum(record["seconds"]["fit"] + record["seconds"]["predict"] for record in found)


def check_logged(database: Path, expected: int, condition: str = "1") -> None:
    """End the benchmark unless MLflow has exactly so many finished runs."""
    query = (
        "SELECT count(DISTINCT runs.run_uuid) FROM runs "
        "LEFT JOIN tags ON tags.run_uuid = runs.run_uuid "
        f"WHERE runs.status = 'FINISHED' AND runs.lifecycle_stage = 'active' AND {condition}"
    )
    base = sqlite3.connect(database)
    try:
        found = base.execute(query).fetchone()[0]
    finally:
        base.close()
    if found != expected:
        sys.exit(f"FAILED: {found} finished runs in {database}, expected {expected}")
