"""Settings chosen on a named split of the training rows, and what they are fitted on then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import f1_score
from sklearn.naive_bayes import ComplementNB

from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import check_config
from sitrepbench.errors import ConfigError
from sitrepbench.labels import LABELS
from sitrepbench.preparing import PreparedRun, forget_data, prepare
from sitrepbench.reproduction.refits import refitted
from sitrepbench.runs import Obtained, obtain
from sitrepbench.store.results import ResultsStore
from sitrepbench.tuning import Given, GridSearch

GRID = {"alpha": [0.001, 0.3, 5.0, 60.0]}
SEARCH = ("tuner=grid", "tuner.grid={alpha: [0.001, 0.3, 5.0, 60.0]}")
WORDS = ("shelling", "denied", "talks", "buses", "road", "hill", "said", "today", "near", "army")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    rows = []
    for document in range(60):
        split = ("train", "train", "dev", "test")[document % 4]
        for position, label in enumerate(LABELS):
            own = [WORDS[LABELS.index(label)]] * int(rng.integers(0, 3))
            text = " ".join([*own, *rng.choice(WORDS, 6), f"d{document}p{position}"])
            rows.append((f"d{document}", position, text, label, split))
    file = tmp_path / "mine.csv"
    frame = pd.DataFrame(rows, columns=["document_id", "position", "text", "label", "split"])
    frame.to_csv(file, index=False)
    return file


@pytest.fixture
def run(table: Path, tmp_path: Path) -> Callable[..., tuple[PreparedRun, Obtained]]:
    def call(*overrides: str, train: Sequence[str] = ("train", "dev")) -> Any:
        forget_data()
        given = [
            f"dataset.path={table}", "protocol=official", f"protocol.train=[{','.join(train)}]",
            "protocol.score=[test]", "unlock.reason='a test'", "model=complement_nb",
            "features=word_count", "executor=serial", "tracking=none",
            f"results_dir={tmp_path / 'results'}", *overrides,
        ]  # fmt: skip
        prepared = prepare(check_config(compose(given)))
        return prepared, obtain(prepared, ResultsStore(tmp_path / "results"))

    return call


def by_hand(table: Path, *, refit: Sequence[str]) -> tuple[float, float, list[str]]:
    """Return what scikit-learn alone chooses on dev, its score there, and its answers on test."""
    frame = pd.read_csv(table)
    best = (-1.0, 0.0)
    splits = {name: frame[frame["split"] == name] for name in ("train", "dev", "test")}
    for alpha in GRID["alpha"]:
        # As conf/features/word_count.yaml has it.
        counts = CountVectorizer(ngram_range=(1, 2), min_df=2, binary=True)
        model = ComplementNB(alpha=alpha).fit(
            counts.fit_transform(splits["train"]["text"]), splits["train"]["label"]
        )
        answers = model.predict(counts.transform(splits["dev"]["text"]))
        score = f1_score(splits["dev"]["label"], answers, average="macro")
        best = max(best, (score, alpha), key=lambda pair: pair[0])
    fitted = frame[frame["split"].isin(refit)]
    counts = CountVectorizer(ngram_range=(1, 2), min_df=2, binary=True)
    model = ComplementNB(alpha=best[1]).fit(counts.fit_transform(fitted["text"]), fitted["label"])
    test = splits["test"]
    names = test["document_id"] + ":" + test["position"].astype(str)
    told = pd.Series(model.predict(counts.transform(test["text"])), index=names).sort_index()
    return best[1], best[0], told.tolist()


def answers(obtained: Obtained) -> list[str]:
    frame = obtained.record.predictions().frame
    return list(frame.sort_values("sentence_id")["predicted"])


@pytest.mark.slow
@pytest.mark.parametrize(("refit", "fitted"), [("all", ["train", "dev"]), ("others", ["train"])])
def test_the_choice_is_scikit_learns_on_dev_and_so_are_the_answers(
    run: Callable[..., Any], table: Path, refit: str, fitted: list[str]
) -> None:
    prepared, obtained = run(*SEARCH, "tuner.held_out=[dev]", f"tuner.refit={refit}")
    alpha, score, expected = by_hand(table, refit=fitted)
    (chosen,) = obtained.record.tuning["chosen"]
    assert chosen["settings"] == {"alpha": alpha}
    assert chosen["score"] == pytest.approx(score)
    assert answers(obtained) == expected
    again = refitted(prepared.config, chosen["settings"])
    refit_run = obtain(prepare(again), ResultsStore(again.results_dir))
    assert answers(refit_run) == expected
    alone, given = run(*(text for text in again.overrides if text.startswith(("tuner", "++"))))
    assert answers(given) == expected
    assert alone.key == refit_run.record.key


def test_both_refits_are_runs_of_their_own_that_share_no_features(
    run: Callable[..., Any], table: Path
) -> None:
    whole = run(*SEARCH, "tuner.held_out=[dev]")
    others = run(*SEARCH, "tuner.held_out=[dev]", "tuner.refit=others")
    assert whole[0].key != others[0].key
    assert answers(whole[1]) == by_hand(table, refit=["train", "dev"])[2]
    assert answers(others[1]) == by_hand(table, refit=["train"])[2]


def test_without_the_option_the_key_is_what_it_was(run: Callable[..., Any]) -> None:
    prepared, _ = run(*SEARCH)
    assert set(prepared.parts["config"]["tuner"]) == {
        "_target_", "trials", "seconds", "n_folds", "space",
    }  # fmt: skip
    given, _ = run("tuner=given", "tuner.settings={alpha: 2.0}")
    assert set(given.parts["config"]["tuner"]) == {"_target_", "settings"}


@pytest.mark.parametrize(
    ("overrides", "train", "told"),
    [
        (["tuner.held_out=[dve]"], ["train", "dev"], "Did you mean 'dev'"),
        (["tuner.held_out=[dev]"], ["train"], "protocol.train=[train,dev] adds it"),
        (["tuner.held_out=[train,dev]"], ["train", "dev"], "nothing is left to fit on"),
        (["tuner.held_out=[test]"], ["train", "dev"], "does not train on a split 'test'"),
    ],
)
def test_what_cannot_be_held_out_is_refused_before_anything_runs(
    run: Callable[..., Any], overrides: list[str], train: list[str], told: str
) -> None:
    with pytest.raises(ConfigError) as failure:
        run(*SEARCH, *overrides, train=train)
    assert told in str(failure.value)
    # Nothing advises to train on a test split, or on one that there is not.
    assert "train,test]" not in str(failure.value)
    assert "train,dve]" not in str(failure.value)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"tuner.refit=others: nothing is held out"):
        GridSearch(refit="others")
    with pytest.raises(ConfigError, match="expected all or others. Did you mean 'others'"):
        GridSearch(refit="other", held_out=["dev"])
    assert Given(without="dev").left_out == ("dev",)
