"""Published numbers beside a study's runs: how near each comes, and their mean."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from sitrepbench.errors import ConfigError
from sitrepbench.report.published import print_published, published_blocks
from sitrepbench.reproduction.facts import RunFacts
from sitrepbench.reproduction.published import (
    PublishedComparison,
    beside_published,
    read_published,
)
from sitrepbench.resources import resource_folder

CONTENT: dict[str, Any] = {
    "source": "A paper, Table 1",
    "part": "test",
    "metric": "weighted_f1",
    "compared": "SVM",
    "within": 0.05,
    "mean_within": 0.02,
    "runs": {
        "dataset.event=a": {"RF": 0.6, "SVM": 0.70},
        "dataset.event=b,model=x": {"SVM": 0.5, "BERT": 0.8},
    },
}
FACTS = RunFacts("a", ("dataset.event=a",), {}, {}, {}, True, "", {}, {"test": 9})


def compared(tmp_path: Path, *ours: float | None, **changes: Any) -> PublishedComparison:
    path = tmp_path / "published.yaml"
    path.write_text(yaml.safe_dump({**CONTENT, **changes}), encoding="utf-8")
    published = read_published(path)
    assert published is not None
    own = (["dataset.event=a"], ["model=x", "dataset.event=b"], ["dataset.event=new"])
    runs = [
        (
            " ".join(names),
            names,
            None if score is None else replace(FACTS, scores={"test": {"weighted_f1": score}}),
        )
        for names, score in zip(own, ours, strict=False)
    ]
    return beside_published(published, runs)


def test_each_run_and_their_mean_have_to_be_near(tmp_path: Path) -> None:
    assert compared(tmp_path, 0.72, 0.48).passed
    near = compared(tmp_path, 0.73, 0.48)
    assert [row.passed for row in near.rows] == [True, True]
    assert near.mean == pytest.approx(0.025)
    assert not near.passed
    far = compared(tmp_path, 0.70, 0.56)
    assert [row.passed for row in far.rows] == [True, False]
    assert not far.passed


def test_the_mean_counts_only_where_all_are_there(tmp_path: Path) -> None:
    part = compared(tmp_path, 0.74)
    assert not part.whole
    assert part.passed
    missing = compared(tmp_path, 0.70, None)
    assert missing.whole
    assert not missing.passed


def test_a_run_of_which_nothing_is_published_is_shown_without_a_verdict(tmp_path: Path) -> None:
    told = compared(tmp_path, 0.70, 0.50, 0.33)
    assert told.rows[2].passed is None
    assert told.passed
    assert json.loads(json.dumps(told.plain()))["runs"][2] == {
        "name": "dataset.event=new", "ours": 0.33, "published": {}, "difference": None,
        "passed": None,
    }  # fmt: skip


def test_it_is_printed_at_80_columns_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = compared(tmp_path, 0.72, 0.38)
    print_published(told, console=Console(width=80))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    lines = [line.split() for line in out.splitlines()]
    assert ["a", "0.720", "0.700", "+0.020", "PASS", "0.600", "-"] in lines
    assert "FAIL: 1 of 2 runs within 0.05 of the published SVM" in " ".join(out.split())
    page = "\n".join(published_blocks(told))
    assert "| 0.380 | 0.500 | - | 0.800 | -0.120 | FAIL |" in page


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sources": "x"}, "sources: unknown key. Did you mean 'source'?"),
        ({"within": "near"}, "within: a number is expected, found 'near'"),
        ({"within": -1}, "within: a number of 0 or more is expected, found -1"),
        ({"runs": {}}, "runs: is empty"),
        ({"runs": {"a": {"SVM": 1.0}}}, "a run is named by its overrides"),
        ({"runs": {"a=b": {"svm": 1.0}}}, "has no 'SVM', which is compared. Did you mean 'svm'?"),
        ({"runs": {"a=b": {"SVM": "high"}}}, "runs.a=b.SVM: a number is expected, found 'high'"),
        ({"runs": {"a=b": 1}}, "runs.a=b: systems and numbers are expected, found 1"),
    ],
)
def test_what_is_wrong_with_the_file_is_told(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError) as failure:
        compared(tmp_path, 0.7, **changes)
    assert told in str(failure.value)
    assert "published.yaml" in str(failure.value)


def test_no_file_and_no_yaml(tmp_path: Path) -> None:
    assert read_published(tmp_path / "published.yaml") is None
    (tmp_path / "published.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(ConfigError, match="not YAML"):
        read_published(tmp_path / "published.yaml")


@pytest.mark.parametrize(
    "file", sorted(resource_folder("experiments").glob("*/published.yaml")), ids=lambda f: f.parent
)
def test_the_programs_own_files_are_sound_and_name_runs_of_their_study(file: Path) -> None:
    published = read_published(file)
    assert published is not None
    study = yaml.safe_load((file.parent.with_suffix(".yaml")).read_text(encoding="utf-8"))
    swept = " ".join(map(str, study["hydra"]["sweeper"]["params"].values()))
    for run in published.runs:
        assert all(text.partition("=")[2] in swept for text in run)
