"""How hard the corpus is, whether it carries over, and whether it holds shortcuts.

    python benchmarks/realism.py [REAL.csv]

REAL.csv is any table of labelled real sentences (columns doc_id, text, label); without it, what
needs one is left out. Nothing is trained on it but the one line that says so.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC

from sitrepbench.data import Dataset, load_shipped, load_table
from sitrepbench.data.dataset import DOCUMENT_ID, LABEL, SPLIT, TEXT, canonical_frame, frame_digest
from sitrepbench.data.statistics import describe_dataset
from sitrepbench.execution import execute
from sitrepbench.features import word_char_tfidf
from sitrepbench.metrics.summary import Summary, summarise
from sitrepbench.models import KeywordRules, MajorityClass
from sitrepbench.models.pipeline import build_pipeline
from sitrepbench.protocols import CrossDataset, GroupedCV, Plan, Score
from sitrepbench.resources import resource_folder

DRAWS = 20
SAMPLE = 800
PROSE = (
    "wire",
    "regional_daily",
    "broadcaster",
    "state_agency",
    "opposition_outlet",
    "monitor",
    "un_sitrep",
    "feature",
    "rights_report",
    "local_translation",
)


def svm() -> Pipeline:
    """Return the pipeline that the targets name."""
    return build_pipeline(word_char_tfidf(), LinearSVC(C=0.3, class_weight="balanced"))


def scored(plan: Plan, pipeline: Pipeline) -> Summary:
    """Return the summary of the plan's only part."""
    predictions = execute(plan, pipeline).predictions
    return summarise(predictions, predictions.parts[0])


def subset(dataset: Dataset, rows: pd.Series, *, splits: bool = True) -> Dataset:
    """Return some rows of a dataset as one of its own."""
    frame = dataset.frame[rows].copy()
    if not splits:
        frame[SPLIT] = ""
    frame = canonical_frame(frame)
    return Dataset(
        dataset.name, frame, dataset.labels, frame_digest(frame, dataset.labels), dataset.source
    )


def samples(dataset: Dataset) -> Iterator[Dataset]:
    """Yield random samples of whole documents, about `SAMPLE` sentences each."""
    sizes = dataset.frame[DOCUMENT_ID].value_counts()
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(sizes.index.sort_values())
        chosen = order[: int(np.searchsorted(np.cumsum(sizes[order]), SAMPLE)) + 1]
        yield subset(dataset, dataset.frame[DOCUMENT_ID].isin(chosen), splits=False)


def told(name: str, summary: Summary) -> None:
    """Print a macro-F1 with its interval and the labels' F1."""
    low, high = summary.intervals["macro_f1"]
    each = ", ".join(
        f"{label} {summary.metrics[f'f1/{label}']:.2f}"
        for label in summary.labels
        if f"f1/{label}" in summary.metrics
    )
    print(f"{name}: {summary.metrics['macro_f1']:.3f} [{low:.3f}, {high:.3f}] ({each})")


def masked(dataset: Dataset, folder: Path) -> Dataset:
    """Replace every invented name of the world files by its type."""
    frame = dataset.frame.copy()
    for file in sorted(folder.glob("*.yaml")):
        world = yaml.safe_load(file.read_text(encoding="utf-8"))
        names = {
            str(name).casefold(): entity["type"].upper()
            for entity in world["entities"]
            for name in [entity["name"], *(entity.get("aliases") or [])]
        }
        ordered = sorted(names, key=len, reverse=True)
        pattern = re.compile(
            r"(?<!\w)(" + "|".join(map(re.escape, ordered)) + r")(?!\w)", re.IGNORECASE
        )
        rows = frame["domain"] == world["conflict"]
        frame.loc[rows, TEXT] = [
            pattern.sub(lambda match, names=names: names[match[0].casefold()], text)
            for text in frame.loc[rows, TEXT]
        ]
    frame = canonical_frame(frame)
    return Dataset("masked", frame, dataset.labels, frame_digest(frame, dataset.labels), "")


def surface_table(dataset: Dataset, folder: Path) -> pd.DataFrame:
    """Return what stands around a sentence: register, outlet, position, and parties it names."""
    documents = pd.read_csv(folder / "documents.csv").set_index("document_id")
    frame = dataset.frame
    size = frame.groupby(DOCUMENT_ID)["position"].transform("max")
    table = pd.DataFrame(
        {
            "register": frame["register"],
            "outlet": documents.loc[frame[DOCUMENT_ID], "outlet"].to_numpy(),
            "place": (frame["position"] / size * 5).round().astype(int).astype(str),
            "first": (frame["position"] == 1).astype(str),
            "parties": "",
        }
    )
    for file in sorted((folder / "worlds").glob("*.yaml")):
        world = yaml.safe_load(file.read_text(encoding="utf-8"))
        parties = [entity for entity in world["entities"] if entity["type"] == "party"]
        rows = frame.index[frame["domain"] == world["conflict"]]
        for row in rows:
            text = frame.at[row, TEXT]
            named = sorted(
                str(entity["side"]) if entity.get("side") else entity["name"]
                for entity in parties
                if any(str(n) in text for n in [entity["name"], *(entity.get("aliases") or [])])
            )
            table.at[row, "parties"] = "+".join(dict.fromkeys(named))
    return table


def shortcut_scores(dataset: Dataset, folder: Path) -> tuple[float, float, float, float]:
    """Return accuracy and macro-F1 of the surface model, and of the majority, by the same folds."""
    from sklearn.metrics import accuracy_score, f1_score

    table, labels = surface_table(dataset, folder), dataset.frame[LABEL].to_numpy()
    free = subset(dataset, dataset.frame[SPLIT].notna(), splits=False)
    predicted = np.empty(len(labels), dtype=object)
    for cell in GroupedCV().plan(free).cells:
        model = make_pipeline(
            ColumnTransformer(
                [("all", OneHotEncoder(handle_unknown="ignore"), list(table.columns))]
            ),
            LogisticRegression(max_iter=1000),
        )
        model.fit(table.iloc[cell.train], labels[cell.train])
        predicted[cell.test] = model.predict(table.iloc[cell.test])
    majority = scored(GroupedCV().plan(free), build_pipeline(None, MajorityClass()))
    return (
        float(accuracy_score(labels, predicted)),
        float(f1_score(labels, predicted, average="macro")),
        majority.metrics["accuracy"],
        majority.metrics["macro_f1"],
    )


def n_grams(texts: pd.Series, n: int) -> set[tuple[str, ...]]:
    """Return all word n-grams of some texts, without regard to case and punctuation."""
    found: set[tuple[str, ...]] = set()
    for text in texts:
        words = re.findall(r"\w+", text.casefold())
        found.update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    return found


def main() -> None:
    """Print every figure."""
    folder = resource_folder("data") / "sitrep"
    dataset = load_shipped("sitrep")
    everything = subset(dataset, dataset.frame[SPLIT].notna(), splits=False)
    scores = [scored(GroupedCV().plan(sample), svm()) for sample in samples(dataset)]
    values = [summary.metrics["macro_f1"] for summary in scores]
    print(f"five-fold macro-F1 of the SVM on {DRAWS} samples of {SAMPLE} sentences: "
          f"{np.mean(values):.3f} (from {min(values):.3f} to {max(values):.3f})")  # fmt: skip
    told(
        "keyword rules on the corpus",
        scored(Score().plan(everything), build_pipeline(None, KeywordRules())),
    )
    told("five-fold macro-F1 of the SVM on train + dev", scored(GroupedCV().plan(dataset), svm()))
    hidden = masked(dataset, folder / "worlds")
    told("the same with all invented names masked", scored(GroupedCV().plan(hidden), svm()))
    accuracy, f1, majority, majority_f1 = shortcut_scores(dataset, folder)
    print(
        f"register, outlet, parties and position alone: accuracy {accuracy:.3f}, "
        f"macro-F1 {f1:.3f}; majority: {majority:.3f}, {majority_f1:.3f}"
    )
    statistics = describe_dataset(dataset)
    prose = dataset.frame["register"].isin(PROSE) & (dataset.frame["form"] == "sentence")
    words = dataset.frame.loc[prose, TEXT].map(lambda text: len(text.split()))
    print("words in a sentence of the prose registers (10th percentile, median, 90th): "
          + ", ".join(f"{value:.0f}" for value in np.percentile(words, [10, 50, 90])))  # fmt: skip
    print(f"distinct opening trigrams per sentence: {statistics.distinct_openings:.1%}")
    if len(sys.argv) > 1:
        real = load_table(sys.argv[1], name="real")
        told("trained on train + dev, scored on the real sentences",
             scored(CrossDataset(target=real).plan(dataset), svm()))  # fmt: skip
        told("real sentences, five-fold, for comparison", scored(GroupedCV().plan(real), svm()))
        told("keyword rules on the real sentences",
             scored(Score().plan(real), build_pipeline(None, KeywordRules())))  # fmt: skip
        shared = n_grams(dataset.frame[TEXT], 8) & n_grams(real.frame[TEXT], 8)
        print(f"word 8-grams in common with the real sentences: {len(shared)}")
        for gram in sorted(shared)[:10]:
            print("  " + " ".join(gram))


if __name__ == "__main__":
    main()
