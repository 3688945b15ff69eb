"""Spaces: what may be drawn, what is refused, and where the edges are."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from sitrepbench.errors import ConfigError
from sitrepbench.tuning.space import (
    Dimension,
    check_settings,
    combinations,
    edge_notes,
    read_grid,
    read_space,
    with_settings,
)

MODEL: dict[str, Any] = {"_target_": "x.Y", "C": 1.0, "p": 2, "inner": {"alpha": 0.1}}


def test_draws_stay_inside_and_fill_the_space() -> None:
    space = read_space(
        {
            "C": {"log": [0.01, 100.0]},
            "p": {"int": [1, 4]},
            "inner.alpha": {"uniform": [-1.0, 1.0]},
        },
        MODEL,
        where="space",
    )
    rng = np.random.default_rng(0)
    drawn = [{dim.path: dim.draw(rng) for dim in space} for _ in range(400)]
    assert all(dim.contains(one[dim.path]) for one in drawn for dim in space)
    # A logarithmic range has as much below 1 as above it.
    assert 0.4 < np.mean([one["C"] < 1 for one in drawn]) < 0.6
    assert {one["p"] for one in drawn} == {1, 2, 3, 4}
    assert min(one["inner.alpha"] for one in drawn) < -0.9


def test_a_grid_lists_every_combination_in_order() -> None:
    grid = read_grid({"C": [0.1, 1.0], "inner.alpha": [None, 3]}, MODEL, where="grid")
    assert list(combinations(grid)) == [
        {"C": 0.1, "inner.alpha": None},
        {"C": 0.1, "inner.alpha": 3},
        {"C": 1.0, "inner.alpha": None},
        {"C": 1.0, "inner.alpha": 3},
    ]
    assert list(combinations([])) == [{}]


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"D": {"log": [1, 2]}}, "space.D: the model has no such setting; it has C, inner, p"),
        ({"inner.beta": {"log": [1, 2]}}, "no such setting"),
        ({"C": [1, 2]}, "expected one of {log"),
        ({"C": {"log": [1, 2], "int": [1, 2]}}, "expected one of"),
        ({"C": {"log": [0, 2]}}, "numbers over 0"),
        ({"C": {"uniform": [2, 1]}}, "the lower one first"),
        ({"C": {"uniform": [0, math.inf]}}, "two numbers"),
        ({"C": {"int": [0.5, 3]}}, "whole numbers"),
        ({"C": {"choice": []}}, "expected a list"),
    ],
)
def test_what_is_wrong_with_a_space_is_told(node: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("{", r"\{")):
        read_space(node, MODEL, where="space")


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"(?s)space\.D.*space\.C"):
        read_space({"D": {"int": [1, 2]}, "C": {"log": [0, 1]}}, MODEL, where="space")
    with pytest.raises(ConfigError, match=r"tuner\.settings\.D"):
        check_settings({"C": 2, "D": 1}, MODEL, where="tuner.settings")


def test_settings_are_put_where_they_belong_and_nothing_else_changes() -> None:
    made = with_settings(MODEL, {"inner.alpha": 5, "C": 2.0})
    assert made == {**MODEL, "C": 2.0, "inner": {"alpha": 5}}
    assert MODEL["inner"] == {"alpha": 0.1}


def test_edges_are_found_where_they_are() -> None:
    scale = Dimension("C", "log", (0.01, 100.0))
    assert [scale.edge(value) for value in (0.0101, 0.05, 1.0, 60.0, 99.0)] == [
        "lower",
        "",
        "",
        "",
        "upper",
    ]
    whole = Dimension("p", "int", (1, 9))
    assert [whole.edge(value) for value in (1, 2, 9)] == ["lower", "", "upper"]
    assert Dimension("w", "choice", ("balanced", None)).edge("balanced") == ""
    assert Dimension("b", "choice", (True, False)).edge(True) == ""
    listed = Dimension("C", "choice", (0.1, 1.0, 10.0))
    assert [listed.edge(value) for value in (0.1, 1.0, 10.0)] == ["lower", "", "upper"]
    (line,) = edge_notes({"C": 0.01}, [scale])
    assert "C=0.01 lies at the lower edge of its space (0.01 to 100.0)" in line


def test_a_range_is_drawn_anew_from_its_seed() -> None:
    dimension = Dimension("C", "log", (0.01, 100.0))
    one, two = ([dimension.draw(np.random.default_rng(seed))] for seed in (3, 3))
    assert one == two
    many = [dimension.draw(np.random.default_rng(seed)) for seed in range(5)]
    assert all(left != right for left, right in pairwise(many))


def test_values_beyond_a_space_are_told_as_such() -> None:
    scale = Dimension("C", "log", (0.01, 100.0))
    assert scale.edge(0.0) == "lower"
    (line,) = edge_notes({"C": 0.0}, [scale])
    assert "C=0.0 lies beyond the lower edge" in line


def test_paths_lead_into_lists() -> None:
    model = {"steps": [["scale", {"p": 1}], ["svm", {"C": 1.0}]]}
    (dimension,) = read_space({"steps.1.1.C": {"log": [0.1, 10.0]}}, model, where="space")
    assert with_settings(model, {dimension.path: 5.0})["steps"][1] == ["svm", {"C": 5.0}]
    assert model["steps"][1][1] == {"C": 1.0}
    with pytest.raises(ConfigError, match="no such setting"):
        read_space({"steps.2.1.C": {"log": [0.1, 10.0]}}, model, where="space")
