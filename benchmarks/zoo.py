"""What does a run of each model cost beside the same estimators called bare?

    python benchmarks/zoo.py [MODEL ...]

Every model of the zoo, with the features that it brings or the default ones, is fitted on the
training split of the corpus and predicts its dev split: through `sitrepbench.execution`, and as a
user would write it, turn by turn. CPU seconds of one thread, so that other work on the machine
counts little, and of each the least over the rounds. A run makes a table of predictions as well,
some hundredths of a second whatever the model; up to 0.05 s of that are no part of a fit.
"""

from __future__ import annotations

import sys
import time
import warnings

from sklearn.base import clone
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import check_config
from sitrepbench.execution import execute
from sitrepbench.metrics.summary import summarise
from sitrepbench.models.pipeline import unset_seeds
from sitrepbench.preparing import prepare
from sitrepbench.protocols import Plan
from sitrepbench.resources import resource_folder

TARGET = 1.05
#: Seconds for the table of predictions.
ALLOWANCE = 0.05
#: At least so many rounds, and so many CPU seconds of them.
ROUNDS, SECONDS = 3, 4.0


def bare(plan: Plan, pipeline: Pipeline) -> float:
    """Return the CPU seconds of fitting and predicting without this program."""
    (cell,) = plan.cells
    frame = plan.training.frame
    labels = frame["label"].to_numpy(dtype=object)
    sentences = frame.drop(columns=["label", "secondary", "split", "cluster"])
    train, test = sentences.iloc[cell.train], sentences.iloc[cell.test]
    own = clone(pipeline)
    own.set_params(**dict.fromkeys(unset_seeds(own), 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.process_time()
        # Features once per side: Pipeline's own predict and predict_proba transform twice.
        features, model = own[:-1], own.steps[-1][1]
        matrix = features.fit_transform(train, labels[cell.train]) if len(features) else train
        model.fit(matrix, labels[cell.train])
        matrix = features.transform(test) if len(features) else test
        model.predict(matrix)
        if hasattr(model, "predict_proba"):
            model.predict_proba(matrix)
        return time.process_time() - started


def through(plan: Plan, pipeline: Pipeline) -> tuple[float, float]:
    """Return the CPU seconds of a run and its macro-F1."""
    started = time.process_time()
    result = execute(plan, pipeline)
    seconds = time.process_time() - started
    return seconds, summarise(result.predictions, "dev").metrics["macro_f1"]


def main() -> None:
    """Print a line per model, and fail where a ratio is above the target."""
    files = sorted((resource_folder("conf") / "model").glob("*.yaml"))
    names = sys.argv[1:] or [file.stem for file in files]
    slow = []
    print(
        f"{'model':24s} {'features':12s} {'dev macro-F1':>12s} {'bare s':>8s} {'run s':>8s} ratio"
    )
    for name in names:
        given = [f"model={name}", "dataset=sitrep", "protocol=official"]
        prepared = prepare(check_config(compose(given)))
        runs, alone = [], []
        with threadpool_limits(1):
            bare(prepared.plan, prepared.pipeline)  # imports and caches
            while len(runs) < ROUNDS or (sum(runs) < SECONDS and len(runs) < 30):
                alone.append(bare(prepared.plan, prepared.pipeline))
                seconds, score = through(prepared.plan, prepared.pipeline)
                runs.append(seconds)
                if sum(runs) > 60:
                    break
        run, own = min(runs), min(alone)
        if run - ALLOWANCE > TARGET * own:
            slow.append(name)
        features = prepared.config.names["features"]
        print(
            f"{name:24s} {features:12s} {score:12.4f} {own:8.2f} {run:8.2f} {run / own:5.2f}",
            flush=True,
        )
    if slow:
        raise SystemExit(f"slower than {TARGET} times the bare estimator: {', '.join(slow)}")


if __name__ == "__main__":
    main()
