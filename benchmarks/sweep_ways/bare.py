"""The limit: a bare scikit-learn loop with features cached in memory, one process, no tracking.

python bare.py SENTENCES.csv SCORES.json [HOW_MANY]
"""

from __future__ import annotations

import itertools
import sys
import time

from grid import configurations, identity, make_features, make_model, read_parts, write_scores
from sklearn.metrics import f1_score


def main(sentences: str, scores_file: str, how_many: str | None = None) -> None:
    """Fit, predict and score every configuration, or the first few."""
    (texts, labels), (test_texts, test_labels) = read_parts(sentences)
    cache = {}
    scores = {}
    vectorising = fitting = 0.0
    for configuration in itertools.islice(configurations(), how_many and int(how_many)):
        name = configuration["features"]
        if name not in cache:
            started = time.perf_counter()
            features = make_features(name)
            cache[name] = (features.fit_transform(texts), features.transform(test_texts))
            vectorising += time.perf_counter() - started
        train, test = cache[name]
        started = time.perf_counter()
        predicted = make_model(configuration).fit(train, labels).predict(test)
        fitting += time.perf_counter() - started
        scores[identity(configuration)] = f1_score(test_labels, predicted, average="macro")
    write_scores(scores_file, scores, {"vectorising": vectorising, "fitting": fitting})


if __name__ == "__main__":
    main(*sys.argv[1:])
