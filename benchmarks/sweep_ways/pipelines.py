"""joblib.Parallel over pipelines, two processes, no tracking.

python pipelines.py SENTENCES.csv SCORES.json [HOW_MANY]
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from typing import Any

from grid import configurations, identity, make_features, make_model, read_parts, write_scores
from joblib import Parallel, delayed
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline


def one(configuration: Mapping[str, Any], parts: list[tuple[Any, Any]]) -> tuple[str, float]:
    """Fit, predict and score one configuration."""
    (texts, labels), (test_texts, test_labels) = parts
    pipeline = make_pipeline(make_features(configuration["features"]), make_model(configuration))
    predicted = pipeline.fit(texts, labels).predict(test_texts)
    return identity(configuration), f1_score(test_labels, predicted, average="macro")


def main(sentences: str, scores_file: str, how_many: str | None = None) -> None:
    """Run every configuration, or the first few."""
    parts = read_parts(sentences)
    chosen = itertools.islice(configurations(), how_many and int(how_many))
    done = Parallel(n_jobs=2)(delayed(one)(each, parts) for each in chosen)
    write_scores(scores_file, dict(done), {})


if __name__ == "__main__":
    main(*sys.argv[1:])
