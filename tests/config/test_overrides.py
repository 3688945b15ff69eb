"""Overrides are read as Hydra's parser reads them."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given, settings
from hypothesis import strategies as st

from sitrepbench.config import overrides
from sitrepbench.config.overrides import parse_override

PARSER = OverridesParser.create()
ODD = [
    "a=", "a=1_000", "a=+1", "a=.5", "a=1.", "a=01", "a=-0", "a=-0.0", "a=1e5", "a=1E-5", "a=nan",
    "a=NaN", "a=-inf", "a=Null", "a=TRUE", "a=false_", "a=x-y", "a=_", "a=-x", "a= 1", "a=1 ",
    "a=x y", "a=x,y", "a=[1,2]", "a={b:1}", "a='x'", "a=${b}", "a=$x", "a.b.c=1", "a.0=1", "a-b=1",
    "a/b=1", "a@b=1", "+a=1", "++a.b=x", "+++a=1", "~a", "~a=1", "a", "=1", "a==1", "a=b=c",
    "a=range(1,3)", "a=choice(1,2)", "a=int(1)", "a=١", "é=1", "a=1\n", "a\n=1", "$a=1", "a.$b=1",
]  # fmt: skip


def by_hydra(text: str) -> str:
    try:
        return repr(PARSER.parse_overrides([text])[0])
    except HydraException as error:
        return type(error).__name__


def by_us(text: str) -> str:
    try:
        return repr(parse_override(text))
    except HydraException as error:
        return type(error).__name__


@pytest.mark.parametrize("text", ODD)
def test_odd_overrides_are_read_as_hydra_reads_them(text: str) -> None:
    assert by_us(text) == by_hydra(text)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(text=st.from_regex(overrides._PLAIN, fullmatch=True))
def test_plain_overrides_are_read_as_hydra_reads_them(text: str) -> None:
    assert by_us(text) == by_hydra(text)
