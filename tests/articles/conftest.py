"""What the tests of articles share: the hand-checked boundaries."""

from collections.abc import Callable
from pathlib import Path

import pytest


def hand_checked(path: Path) -> list[list[str]]:
    """Return the paragraphs of a file of boundaries, each as its sentences."""
    paragraphs: list[list[str]] = [[]]
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if line.strip():
            paragraphs[-1].append(line.strip())
        else:
            paragraphs.append([])
    return [paragraph for paragraph in paragraphs if paragraph]


def ends(sentences: list[str]) -> set[int]:
    """Return where sentences end, as counts of characters but white space, the last left out."""
    total = 0
    found = []
    for sentence in sentences:
        total += len("".join(sentence.split()))
        found.append(total)
    return set(found[:-1])


@pytest.fixture(scope="session")
def paragraphs() -> Callable[[str], list[list[str]]]:
    return lambda name: hand_checked(Path(__file__).with_name(name))


@pytest.fixture(scope="session")
def score() -> Callable[[Callable[[str], list[str]], list[list[str]]], tuple[int, int, int]]:
    """Return a function that tells boundaries found, boundaries there are, and false ones."""

    def scored(
        split: Callable[[str], list[str]], paragraphs: list[list[str]]
    ) -> tuple[int, int, int]:
        found = there = false = 0
        for sentences in paragraphs:
            true, said = ends(sentences), ends(split(" ".join(sentences)))
            found += len(true & said)
            there += len(true)
            false += len(said - true)
        return found, there, false

    return scored
