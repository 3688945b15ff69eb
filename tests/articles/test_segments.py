"""Segments of plain text: layout, kinds, and that nothing is lost."""

import re

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sitrepbench.articles import KINDS, segment, split_sentences
from sitrepbench.errors import DataError

SEED = "000_d9a963010b284130"
#: What is no visible character.
UNSEEN = re.compile("[\\s\u200b\u200c\u200d\u2060\ufeff]")


def kinds(text):
    return [(found.kind, found.text) for found in segment(text)]


def test_the_seed_article_gives_its_sentences(repository):
    article = (repository / "seeds" / f"{SEED}.txt").read_bytes().decode("utf-8")
    expected = pd.read_csv(repository / "seeds" / "sentences.csv", keep_default_na=False)
    found = segment(article)
    body = [item for item in found if item.kind != "furniture"]
    assert [item.text for item in body] == expected["text"].tolist()
    assert [item.position for item in body] == expected["position"].tolist()
    assert [item.text for item in found if item.kind == "furniture"] == ["Latest News"]
    assert [item.kind for item in found[:4]] == ["headline", "caption", "caption", "paragraph"]


def test_wrapped_lines_are_joined_and_lines_of_their_own_are_not():
    text = (
        "Truce fails in Osk\n"
        "The truce that was agreed on Dec.\n"
        "3 failed on Friday, said Gen. A.\n"
        "B. Tamm. Both sides blamed the\n"
        "other for it, in the presence of\n"
        "the envoy.\n"
        "The envoy left.\n"
    )
    assert kinds(text) == [
        ("headline", "Truce fails in Osk"),
        (
            "paragraph",
            "The truce that was agreed on Dec. 3 failed on Friday, said Gen. A. B. Tamm.",
        ),
        ("paragraph", "Both sides blamed the other for it, in the presence of the envoy."),
        ("paragraph", "The envoy left."),
    ]


def test_a_paragraph_on_each_line():
    long = "The town of Osk was shelled again on Monday, the mayor and two aid workers said. " * 3
    assert [kind for kind, _ in kinds(f"Osk shelled\n{long}\nWhat is known\n{long}")] == [
        "headline",
        *["paragraph"] * 3,
        "headline",
        *["paragraph"] * 3,
    ]


def test_a_compound_that_was_cut_at_its_hyphen():
    text = "They came in a convoy with Russia-\nbacked fighters who had arms.\n"
    assert kinds(text)[0][1].endswith("Russia-backed fighters who had arms.")


@pytest.mark.parametrize("mark", ["•", "-", "*", "–", "1.", "a)"])
def test_list_items_are_segments_of_their_own(mark):
    text = f"The terms are:\n{mark} a truce\n{mark} a corridor. It opens on Jan. 5.\n\nThey left."
    assert kinds(text) == [
        ("paragraph", "The terms are:"),
        ("list", f"{mark} a truce"),
        ("list", f"{mark} a corridor."),
        ("list", "It opens on Jan. 5."),
        ("paragraph", "They left."),
    ]


def test_a_wrapped_line_that_begins_with_a_dash_is_no_item():
    text = (
        "The dam near Osk - or what is left of\n"
        "it now, and of the town behind it - or\n"
        "- they say - of the county has broken.\n"
    )
    assert len(kinds(text)) == 1


@pytest.mark.parametrize(
    "line", ["Image Smoke over Osk", "Photo: A. Lind", "(Photo by A. Lind)", "© Tirin News"]
)
def test_captions_are_known_by_their_beginning(line):
    assert kinds(f"Osk burns\n\n{line}\n\nIt burns.")[1] == ("caption", line)


def test_a_sentence_that_begins_like_a_caption():
    assert kinds("Video shows the strike.") == [("paragraph", "Video shows the strike.")]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\u2028", "\v", "\x85"])
def test_line_ends_of_all_kinds(end):
    text = f"\ufeffOsk burns{end}{end}It burns. They left.{end}"
    assert [line for _, line in kinds(text)] == ["Osk burns", "It burns.", "They left."]


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_what_no_text_holds_is_refused(text):
    with pytest.raises(DataError, match="at character 2"):
        segment(text)


def test_text_without_capitals_is_cut_at_small_letters():
    assert split_sentences("they left. then we came.") == ["they left.", "then we came."]
    assert split_sentences("It is 3 km. north of Osk.") == ["It is 3 km. north of Osk."]


PIECES = st.sampled_from(
    [
        "Gen. A. B. Tamm ",
        "the U.S. The ",
        "(He left.) They ",
        '"We wait …" It ',
        "The answer was no. It ",
        "'",
        '"',
        "“",
        "”",
        "(",
        "]",
        "... ",
        "…",
        ". ",
        "? ",
        "!\n",
        "\n\n",
        "\r\n",
        "• a\n",
        "- a\n",
        "1. a\n",
        "Image ",
        "Latest News\n",
        "5 p.m. Monday ",
        "no. 4 ",
        "Russia-\n",
        "\u200b\n\n",
        "\ufeff",
        "。",
        "؟ ",
        "é",
        "\u0301",
        "🙂 ",
        "ǅ. ",
    ]
)
TEXTS = st.lists(
    PIECES | st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=30
)


@given(pieces=TEXTS)
@example(pieces=["A. " * 300])
@example(pieces=['"' * 99 + "A. B" * 50])
def test_no_character_is_lost(pieces):
    text = "".join(pieces).replace("\0", "")
    found = segment(text)
    assert UNSEEN.sub("", "".join(item.text for item in found)) == UNSEEN.sub("", text)
    assert [item.position for item in found] == list(range(len(found)))
    for item in found:
        assert item.kind in KINDS
        assert item.text == " ".join(item.text.split())
        assert UNSEEN.sub("", item.text)


@given(pieces=TEXTS)
def test_sentences_joined_are_the_paragraph(pieces):
    paragraph = "".join(pieces)
    # Between two sentences there may have been no space.
    assert "".join("".join(split_sentences(paragraph)).split()) == "".join(paragraph.split())
