"""Parts: what a predictions table scores, by name; light, so that lists need not load pandas."""

from __future__ import annotations

from collections.abc import Iterable


def is_test_part(part: str) -> bool:
    """Return whether a split is a test split, and locked: its name starts so, in any case.

    >>> is_test_part("Test_ood"), is_test_part("dev")
    (True, False)
    """
    return part.strip().casefold().startswith("test")


def shown_part(parts: Iterable[str]) -> str:
    """Return the part that lists show and rank by; empty where there is none.

    That is the development part (cv, dev, all), and a test part only where there is no other.

    >>> shown_part(["Test", "dev"]), shown_part(["test_ood", "test"])
    ('dev', 'test')
    """
    return min(parts, key=lambda name: (is_test_part(name), name), default="")
