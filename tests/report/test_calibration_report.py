"""Calibration for people: printed at 80 columns, as JSON, and as figures of the same bytes."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from sitrepbench.labels import LABELS
from sitrepbench.metrics.calibration import Calibration, calibration_of
from sitrepbench.metrics.selective import RiskCoverage, risk_coverage
from sitrepbench.predictions import PredictionsTable
from sitrepbench.report.calibration import (
    calibration_dict,
    draw_reliability,
    draw_risk_coverage,
    print_calibration,
)
from sitrepbench.tracking.calibration_pages import calibration_section, reliability_svg


@pytest.fixture(scope="module", params=[30, 1], ids=["documents", "one document"])
def found(request: pytest.FixtureRequest) -> tuple[Calibration, RiskCoverage]:
    rng = np.random.default_rng(0)
    given = rng.dirichlet(np.ones(len(LABELS)), 300)
    frame = pd.DataFrame(
        {
            "sentence_id": [f"s{i}" for i in range(300)],
            "document_id": [f"d{i % request.param}" for i in range(300)],
            "domain": "",
            "part": "dev",
            "repeat": 0,
            "fold": 0,
            "label": rng.choice(LABELS, 300),
            "secondary": "",
            "predicted": np.array(LABELS)[given.argmax(axis=1)],
            **{f"p_{label}": given[:, k] for k, label in enumerate(LABELS)},
        }
    )
    table = PredictionsTable(frame, LABELS)
    calibration, risk = calibration_of(table), risk_coverage(table)
    assert calibration is not None
    assert risk is not None
    return calibration, risk


def test_what_is_printed_fits_and_has_every_number(
    found: tuple[Calibration, RiskCoverage],
) -> None:
    file = io.StringIO()
    print_calibration("test_ood", *found, console=Console(file=file, width=80))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    for value in (found[0].classwise_ece, found[0].adaptive_ece, found[1].aurc):
        assert f"{value:.3f}" in text
    assert "nan" not in text


def test_the_json_is_plain(found: tuple[Calibration, RiskCoverage]) -> None:
    content = json.loads(json.dumps(calibration_dict(*found), allow_nan=False))
    assert content["classwise_ece"] == found[0].classwise_ece
    assert content["aurc"] == found[1].aurc
    assert len(content["per_label"]) == len(LABELS)


@pytest.mark.slow
def test_figures_are_the_same_each_time(found: tuple[Calibration, RiskCoverage]) -> None:
    calibration, risk = found
    figure = draw_reliability({"a": calibration, "b": calibration}, title="both")
    assert figure == draw_reliability({"a": calibration, "b": calibration}, title="both")
    assert ElementTree.fromstring(figure).tag.endswith("svg")
    curve = draw_risk_coverage({"a": risk}, title="one")
    assert curve == draw_risk_coverage({"a": risk}, title="one")
    assert ElementTree.fromstring(curve).tag.endswith("svg")


def test_the_page_has_numbers_and_a_line_per_label(
    found: tuple[Calibration, RiskCoverage],
) -> None:
    section = calibration_section("dev", found[0])
    assert f"{found[0].classwise_ece:.3f}" in section
    assert "nan" not in section
    drawing = ElementTree.fromstring(reliability_svg(found[0]))
    lines = [node for node in drawing.iter() if node.tag.endswith("polyline")]
    assert len(lines) == len(LABELS)
    marks = [node for node in drawing.iter() if node.tag.endswith("circle")]
    assert len(marks) == len(found[0].curves)
