"""The project's own models: majority and keyword rules, and every shipped lexicon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.utils import get_tags

from sitrepbench.errors import ConfigError
from sitrepbench.labels import LABELS
from sitrepbench.models import KeywordRules, MajorityClass
from sitrepbench.models.keywords import LEXICON_FOLDER, load_lexicon

Y = np.array(["b", "a", "b", "c"], dtype=object)
X = pd.DataFrame({"text": ["one", "two", "three", "four"]})


def test_majority_agrees_with_the_reference() -> None:
    ours = clone(MajorityClass()).fit(X, Y)
    reference = DummyClassifier(strategy="prior").fit(X, Y)
    assert list(ours.predict(X)) == list(reference.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), reference.predict_proba(X))


def test_majority_with_a_label_needs_no_fitting_and_has_no_probabilities() -> None:
    fixed = MajorityClass(label="background")
    assert not get_tags(fixed).requires_fit
    assert set(fixed.predict(X)) == {"background"}
    assert not hasattr(fixed, "predict_proba")
    assert get_tags(MajorityClass()).requires_fit


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Shells killed four people in the old town.", "casualty_report"),
        ("The army denied that its jets had bombed the market.", "denial"),
        ("The minister rejected the allegations as baseless.", "denial"),
        ("The two sides agreed to a 48-hour ceasefire.", "negotiation"),
        ("More than 3,000 people fled their homes overnight.", "evacuation"),
        ("Troops captured two hills north of the river.", "background"),
        ("The militia denied access to the convoy of doctors.", "background"),
    ],
)
def test_rules_on_plain_sentences(text: str, label: str) -> None:
    rules = KeywordRules()
    assert rules.explain(text).label == label
    assert rules.predict(pd.DataFrame({"text": [text]}))[0] == label


def test_an_explanation_adds_up() -> None:
    explanation = KeywordRules().explain("The army denied killing two villagers.")
    assert explanation.label == "denial"
    assert "killing" in explanation.fired["casualty_report"]
    assert explanation.scores["denial"] >= explanation.scores["casualty_report"]


@pytest.mark.parametrize("file", sorted(LEXICON_FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_lexicon_loads_and_has_the_schemes_labels(file: Path) -> None:
    lexicon = load_lexicon(file.stem)
    assert sorted(lexicon.rules) == sorted(LABELS)
    assert lexicon.default in LABELS


def test_a_lexicon_of_ones_own_counts_by_content(tmp_path: Path) -> None:
    text = (
        "name: mine\nversion: '1'\norder: [x, y]\ndefault: y\n"
        "labels:\n  x: {strong: [foo]}\n  y: {}\n"
    )
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(text)
    two.write_text(text)
    first, second = KeywordRules(str(one)), KeywordRules(str(two))
    assert first.content_digest() == second.content_digest()
    assert list(first.predict(pd.DataFrame({"text": ["a foo", "a food"]}))) == ["x", "y"]
    two.write_text(text.replace("foo", "bar"))
    assert first.content_digest() != second.content_digest()


def test_all_mistakes_of_a_lexicon_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        "name: bad\nversion: '1'\norder: [x]\ndefault: x\ntreshold: 3\n"
        "labels:\n  x: {strong: ['(open'], stong: [a]}\n  y: {}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_lexicon(str(file))
    message = str(caught.value)
    for piece in (
        "'treshold'. Did you mean 'threshold'",
        "'(open' is not a pattern",
        "Did you mean 'strong'",
        "'order' must name every label",
    ):
        assert piece in message


def test_an_unknown_lexicon_is_told() -> None:
    with pytest.raises(ConfigError, match="no lexicon 'englisch'.*Did you mean 'english'"):
        load_lexicon("englisch")
