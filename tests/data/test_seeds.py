"""The shipped seed article: whole, in order, and labelled as the scheme's examples say."""

import hashlib

import pytest

from sitrepbench.data.card import load_card
from sitrepbench.data.shipped import load_shipped

SOURCE = "000_d9a963010b284130.txt"

#: The worked examples of the label scheme, by how their sentences begin.
WORKED = {
    "Syrian airstrikes in eastern Ghouta": ("casualty_report", ""),
    '"Jaish al-Islam terrorists': ("denial", ""),
    "The Army of Islam has never": ("negotiation", "evacuation"),
    "The Observatory says the attack": ("casualty_report", ""),
    "Other rebel groups agreed": ("negotiation", "casualty_report|evacuation"),
    "A total of 2,963 militants": ("evacuation", "negotiation"),
    "A week long ceasefire": ("negotiation", ""),
    "Regime forces have captured": ("background", "negotiation|evacuation"),
    "Nearly half of them": ("evacuation", ""),
    "A ground assault then sliced": ("background", ""),
}


@pytest.fixture(scope="module")
def seeds():
    return load_shipped("seeds")


def test_the_article_is_the_one_that_was_received(repository):
    digest = hashlib.sha256((repository / "seeds" / SOURCE).read_bytes()).hexdigest()
    assert digest == "94e8787b4fa924c6930cf1d300720a93a22e0f1f36fdc56d8c19bd32c42eb9cf"


def test_the_seeds_are_for_testing_only(seeds, repository):
    card = load_card(repository / "seeds" / "card.yaml")
    assert card.final_only
    assert seeds.splits == ("test",)
    assert (seeds.frame["split"] == "test").all()


def test_the_sentences_are_the_article_in_order_but_for_its_last_line(seeds, repository):
    article = (repository / "seeds" / SOURCE).read_text(encoding="utf-8")
    for text in seeds.frame["text"]:
        head, found, article = article.partition(text)
        assert found, text
        assert head.strip() == "", f"left out before {text!r}: {head!r}"
    assert article.strip() == "Latest News"


@pytest.mark.parametrize("beginning", WORKED)
def test_the_worked_examples_are_labelled_as_the_scheme_says(seeds, beginning):
    rows = seeds.frame[seeds.frame["text"].str.startswith(beginning)]
    assert len(rows) == 1
    assert (rows.iloc[0]["label"], rows.iloc[0]["secondary"]) == WORKED[beginning]


def test_every_label_has_its_reason(seeds):
    assert seeds.frame["rationale"].str.len().gt(10).all()


def test_the_readme_counts_right(seeds, repository):
    readme = " ".join((repository / "seeds" / "README.md").read_text(encoding="utf-8").split())
    counts = seeds.frame["label"].value_counts()
    for label, count in counts.items():
        assert f"{count} `{label}`" in readme
    assert f"{len(seeds.frame)} sentences" in readme
