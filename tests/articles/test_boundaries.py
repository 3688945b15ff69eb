"""How many of the hand-checked boundaries are found; `-s` prints the scores of docs/articles.md."""

import importlib.util

import pytest
import sentencex

from sitrepbench.articles import split_sentences

FILES = ("boundaries.txt", "unseen_boundaries.txt")


def bare(text):
    return sentencex.segment("en", text)


def others():
    """Yield the splitters that were compared with, where they are installed."""
    if importlib.util.find_spec("pysbd"):
        import pysbd

        yield "pysbd", pysbd.Segmenter(language="en", clean=False).segment
    if importlib.util.find_spec("syntok"):
        from syntok import segmenter

        def syntok(text):
            tokens = (sentence for part in segmenter.process(text) for sentence in part)
            return ["".join(token.spacing + token.value for token in found) for found in tokens]

        yield "syntok", syntok


def test_scores_are_printed(paragraphs, score):
    for file in FILES:
        for name, split in [("sitrepbench", split_sentences), ("sentencex", bare), *others()]:
            found, there, false = score(split, paragraphs(file))
            print(f"\n{file}: {name} finds {found} of {there}, and {false} false", end="")
    assert sum(len(found) - 1 for found in paragraphs(FILES[0])) >= 200


@pytest.mark.parametrize(("file", "missed", "wrong"), [(FILES[0], 2, 0), (FILES[1], 1, 1)])
def test_hand_checked_boundaries_are_found(paragraphs, score, file, missed, wrong):
    found, there, false = score(split_sentences, paragraphs(file))
    assert there - found <= missed
    assert false <= wrong


def test_the_rules_pay(paragraphs, score):
    found, _, false = score(split_sentences, paragraphs(FILES[0]))
    bare_found, _, bare_false = score(bare, paragraphs(FILES[0]))
    assert found > bare_found
    assert false < bare_false


def test_the_score_counts_both_kinds_of_error(score):
    paragraphs = [["One two.", "Three four."]]
    assert score(lambda text: [text], paragraphs) == (0, 1, 0)
    assert score(str.split, paragraphs) == (1, 1, 2)
