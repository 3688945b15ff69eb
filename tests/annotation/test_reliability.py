"""Agreement with intervals: against reference libraries, the literature, and by hand."""

from __future__ import annotations

import math

import krippendorff
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from sitrepbench.annotation.reliability import measure_reliability


def answers(**labels: list[str | None]) -> pd.DataFrame:
    rows = [
        (f"s{at}", name, label)
        for name, given in labels.items()
        for at, label in enumerate(given)
        if label is not None
    ]
    return pd.DataFrame(rows, columns=["sentence_id", "annotator", "label"])


def drawn(seed: int, *, n: int, gaps: float = 0.0) -> dict[str, list[str | None]]:
    generator = np.random.default_rng(seed)
    truth = generator.choice(list("abc"), n, p=[0.6, 0.3, 0.1])
    said = {}
    for name in ("one", "two", "three"):
        guess = generator.choice(list("abc"), n)
        given = np.where(generator.random(n) < 0.7, truth, guess).astype(object)
        said[name] = [None if generator.random() < gaps else str(label) for label in given]
    return said


def test_alpha_of_the_published_example() -> None:
    # Krippendorff (2011), section C: four observers, twelve units, missing values: 0.743.
    rows = ("1 2 3 3 2 1 4 1 2 * * *", "1 2 3 3 2 2 4 1 2 5 * 3")
    rows += ("* 3 3 3 2 3 4 2 2 5 1 *", "1 2 3 3 2 4 4 1 2 5 1 *")
    said = {
        f"observer_{at}": [None if value == "*" else value for value in row.split()]
        for at, row in enumerate(rows)
    }
    found = measure_reliability(answers(**said), list("12345"))
    assert found.alpha.value == pytest.approx(0.743, abs=0.0005)
    assert found.agreement.n_sentences == 11


def test_kappa_of_the_textbook_example() -> None:
    # 50 applications, 20 and 15 alike, 5 and 10 not: agreement 0.7, kappa 0.4.
    said = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    one, two = (list(column) for column in zip(*said, strict=True))
    (pair,) = measure_reliability(answers(one=one, two=two), ["y", "n"]).pairs.to_dict("records")
    assert pair["kappa"] == pytest.approx(0.4)
    assert pair["agreement"] == pytest.approx(0.7)


def test_alpha_with_gaps_agrees_with_the_reference() -> None:
    said = drawn(0, n=300, gaps=0.3)
    codes = np.array(
        [[np.nan if v is None else "abc".index(v) for v in row] for row in said.values()]
    )
    found = measure_reliability(answers(**said), list("abc"))
    alpha = krippendorff.alpha(reliability_data=codes, level_of_measurement="nominal")
    assert found.alpha.value == pytest.approx(alpha)
    for code, row in enumerate(found.labels.to_dict("records")):
        one = np.where(np.isnan(codes), np.nan, codes == code)
        expected = krippendorff.alpha(reliability_data=one, level_of_measurement="nominal")
        assert row["alpha"] == pytest.approx(expected)


def test_kappa_by_pair_and_label_agrees_with_the_reference() -> None:
    said = drawn(1, n=200)
    found = measure_reliability(answers(**said), list("abc"))
    assert len(found.pairs) == 3
    for pair in found.pairs.to_dict("records"):
        expected = cohen_kappa_score(said[pair["first"]], said[pair["second"]])
        assert pair["kappa"] == pytest.approx(expected)
    for row in found.pair_labels.to_dict("records"):
        one, two = (
            [label == row["label"] for label in said[row[which]]] for which in ("first", "second")
        )
        assert row["kappa"] == pytest.approx(cohen_kappa_score(one, two))
        assert (row["given_first"], row["given_second"]) == (sum(one), sum(two))


@pytest.mark.slow
def test_an_interval_is_the_jackknife_by_hand() -> None:
    said = drawn(2, n=120)
    documents = {f"s{at}": f"d{at % 12}" for at in range(120)}
    table = answers(**said)
    found = measure_reliability(table, list("abc"), documents=documents)
    assert found.n_documents == 12
    without = [
        measure_reliability(
            table[table["sentence_id"].map(documents) != f"d{left_out}"], list("abc")
        ).alpha.value
        for left_out in range(12)
    ]
    spread = np.sqrt(11 / 12 * ((np.array(without) - np.mean(without)) ** 2).sum())
    # Documents of equal size: 11 degrees of freedom, quantile 2.201.
    assert found.alpha.high - found.alpha.value == pytest.approx(2.200985 * spread)
    assert found.alpha.value - found.alpha.low == pytest.approx(2.200985 * spread)


def test_no_interval_without_documents_or_spread() -> None:
    said = drawn(3, n=40)
    assert math.isnan(measure_reliability(answers(**said), list("abc")).alpha.low)
    documents = {f"s{at}": f"d{at % 4}" for at in range(39)}  # the last sentence's is not known
    found = measure_reliability(answers(**said), list("abc"), documents=documents)
    assert found.n_documents == 0
    same = {"one": said["one"], "two": said["one"]}
    documents["s39"] = "d3"
    found = measure_reliability(answers(**same), list("abc"), documents=documents)
    assert found.alpha.value == 1.0
    assert math.isnan(found.alpha.low)


def test_observed_agreement_is_a_mean_over_sentences() -> None:
    found = measure_reliability(
        answers(one=["a", "a", "b"], two=["a", "b", "b"], three=["a", "b", None]), ["a", "b"]
    )
    assert found.observed == pytest.approx((1 + 1 / 3 + 1) / 3)
