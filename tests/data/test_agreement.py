"""Agreement: against the textbook, the reference library's own definition, and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from sitrepbench.data.agreement import measure_agreement
from sitrepbench.errors import DataError


def annotations(**labels: list[str | None]) -> pd.DataFrame:
    rows = [
        {"sentence_id": f"s{i}", "annotator": name, "label": label}
        for name, given in labels.items()
        for i, label in enumerate(given)
        if label is not None
    ]
    return pd.DataFrame(rows)


def test_alpha_of_the_published_example() -> None:
    # Krippendorff (2011), section B: two observers, twelve articles, five categories: 0.692.
    one = list("aabbdcccedda")
    two = list("babbbccceddd")
    table = annotations(one=one, two=two)
    assert measure_agreement(table, list("abcde")).alpha == pytest.approx(0.692, abs=0.0005)


def test_pairs_agree_with_the_reference() -> None:
    rng = np.random.default_rng(0)
    one = rng.choice(list("abc"), 200)
    two = np.where(rng.random(200) < 0.7, one, rng.choice(list("abc"), 200))
    found = measure_agreement(annotations(one=list(one), two=list(two)), list("abc"))
    (pair,) = found.pairs.to_dict("records")
    assert pair["kappa"] == pytest.approx(cohen_kappa_score(one, two))
    assert pair["macro_f1"] == pytest.approx(f1_score(one, two, average="macro"))
    assert pair["agreement"] == pytest.approx((one == two).mean())
    per_label = found.per_label.set_index("label")["f1"]
    np.testing.assert_allclose(per_label[list("abc")], f1_score(one, two, average=None))
    assert len(found.disagreements) == (one != two).sum()


def test_perfect_agreement_and_chance() -> None:
    same = ["a", "b"] * 20
    assert measure_agreement(annotations(one=same, two=same), ["a", "b"]).alpha == 1.0
    rng = np.random.default_rng(1)
    table = annotations(
        one=list(rng.choice(["a", "b"], 4000)), two=list(rng.choice(["a", "b"], 4000))
    )
    assert abs(measure_agreement(table, ["a", "b"]).alpha) < 0.05


def test_the_adjudicator_is_not_counted_and_gaps_are_allowed() -> None:
    table = annotations(
        one=["a", "b", "a", None], two=["a", "a", None, "b"], adjudicator=[None, "b", None, None]
    )
    found = measure_agreement(table, ["a", "b"])
    assert found.annotators == ("one", "two")
    assert found.n_sentences == 2


def test_too_few_and_doubled_annotations_are_told() -> None:
    with pytest.raises(DataError, match="at least two annotators"):
        measure_agreement(annotations(one=["a"]), ["a", "b"])
    table = annotations(one=["a"], two=["a"])
    with pytest.raises(DataError, match="labelled twice by one annotator, the first is 's0' by"):
        measure_agreement(pd.concat([table, table]), ["a", "b"])
