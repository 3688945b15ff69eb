"""A study's report: rankings, curves and held-out groups of real, tiny runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import check_config
from sitrepbench.errors import ConfigError
from sitrepbench.labels import LABELS
from sitrepbench.metrics.scores import macro_f1
from sitrepbench.preparing import forget_data, prepare
from sitrepbench.report.study import (
    replace_between,
    study_page,
    write_leaderboard,
    write_study_report,
)
from sitrepbench.report.study_figures import draw_study, is_curve
from sitrepbench.report.study_runs import (
    StudyRun,
    gap_of,
    held_out_groups,
    reference_of,
    restricted,
)
from sitrepbench.reproduction.facts import facts_of
from sitrepbench.reproduction.studies import StudyFiles
from sitrepbench.runs import obtain
from sitrepbench.store.results import ResultsStore

#: What each label's sentences say in each domain; the words of the west are no other's.
WORDS = {
    "north": ("killed", "denied", "talks", "fled", "hill"),
    "south": ("killed", "denied", "talks", "fled", "hill"),
    "west": ("fell", "rejected", "parley", "left", "ridge"),
}
MakeRun = Callable[..., StudyRun]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Compute a run of a small table of three domains."""
    folder = tmp_path_factory.mktemp("study")
    lines = ["doc_id,text,label,domain,split"]
    for document in range(24):
        domain = list(WORDS)[document % 3]
        split = "dev" if document % 4 == 3 else "train"
        for at, label in enumerate(LABELS):
            for more in range(2):
                said = WORDS[domain][at if document % 5 else (at + 1) % 5]
                lines.append(f"d{document},{said} {more} at {document},{label},{domain},{split}")
    (folder / "mine.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    store = ResultsStore(folder / "results")

    def compute(*own: str, held_out: tuple[str, ...] = (), documents: float = 0) -> StudyRun:
        forget_data()
        given = [f"dataset.path={folder / 'mine.csv'}", "features=word", "executor=serial",
                 "tracking=none", *own]  # fmt: skip
        config = check_config(compose(given))
        record = obtain(prepare(config), store).record
        return StudyRun(
            facts_of(record, own),
            record,
            config.names,
            held_out=held_out,
            training_documents=documents,
            control=bool(config.tree["protocol"].get("control")),
        )

    return compute


@pytest.fixture(scope="module")
def official(make: MakeRun) -> list[StudyRun]:
    return [make(f"model={model}", "protocol=official")
            for model in ("keyword_rules", "complement_nb", "majority")]  # fmt: skip


@pytest.fixture(scope="module")
def left_out(make: MakeRun) -> list[StudyRun]:
    domains = ("north", "south", "west")
    return [
        make("model=complement_nb", "protocol=leave_one_out", f"protocol.control={control}",
             held_out=domains)
        for control in ("false", "true")
    ]  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> StudyFiles:
    return StudyFiles("tiny", tmp_path / "tiny.yaml", "which is best?", "sitrepbench run x=tiny")


@pytest.mark.slow
def test_a_report_ranks_and_compares_with_the_rules(official, files: StudyFiles) -> None:
    page = study_page(files, official)
    assert page.startswith("# tiny\n")
    assert "which is best?" in page
    rows = re.findall(r"^\| (\d) \| (\w+) official \| (\d\.\d+) \[", page, re.MULTILINE)
    assert [place for place, _, _ in rows] == ["1", "2", "3"]
    scores = [float(score) for *_, score in rows]
    assert scores == sorted(scores, reverse=True)
    section = page.partition("## Difference to `keyword_rules`")[2].partition("## ")[0]
    assert "| majority official | -0." in section
    assert "| keyword_rules official |" not in section
    f1 = page.partition("## F1 by label, dev")[2]
    for label in LABELS:
        assert label in f1


@pytest.mark.slow
def test_a_difference_needs_the_same_documents(official, left_out) -> None:
    runs = [*official, *left_out]
    assert reference_of(official[1], runs, "dev") is official[0]
    assert reference_of(official[0], runs, "dev") is None
    assert reference_of(left_out[0], runs, "cv") is None


def test_held_out_groups_are_scored_worst_first_beside_their_control(
    left_out, files: StudyFiles
) -> None:
    held_out, control = left_out
    groups = held_out_groups(held_out, left_out)
    # No other domain has the words of the west, and the control has met them.
    assert groups[0].name == "west"
    assert groups[0].score < 0.3
    assert groups[0].in_domain > groups[0].score + 0.3
    assert {group.name: group.documents for group in groups} == {
        "north": 8, "south": 8, "west": 8,
    }  # fmt: skip
    west = [name for name, domain in zip(held_out.confusions("cv").documents,
                                         held_out.confusions("cv").domains, strict=True)
            if domain == "west"]  # fmt: skip
    counts = restricted(held_out.confusions("cv"), west).pooled
    assert groups[0].score == pytest.approx(float(macro_f1(counts, labels=counts[0].sum(1) > 0)[0]))
    gap = gap_of(held_out, left_out)
    assert gap is not None
    assert gap.estimate == pytest.approx(control.score("cv") - held_out.score("cv"))
    assert gap.low < gap.estimate < gap.high
    page = study_page(files, left_out)
    assert "## Held out" in page
    assert re.search(r"\| west \| 8 \| 80 \| 0\.\d+ \(-0\.\d+\) \|", page)
    assert "in-domain minus held out" in page


def test_without_a_control_there_is_no_gap(left_out) -> None:
    alone = left_out[:1]
    assert gap_of(alone[0], alone) is None
    assert all(group.in_domain != group.in_domain for group in held_out_groups(alone[0], alone))
    assert "west" in draw_study_text(alone)


def draw_study_text(runs: list[StudyRun]) -> str:
    """Draw with letters as text, so that they can be looked for."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        return draw_study(runs, title="tiny")


@pytest.mark.slow
def test_a_learning_curve_is_drawn_over_documents(make: MakeRun, official) -> None:
    curve = [
        make("model=complement_nb", "protocol=learning_curve", f"protocol.documents={size}",
             "protocol.n_repeats=2", documents=float(size))
        for size in (6, 12)
    ]  # fmt: skip
    assert is_curve(curve)
    assert not is_curve(curve[:1])
    assert not is_curve(official)
    drawn = draw_study_text(curve)
    assert "training documents" in drawn
    for tick in ("6", "12"):
        assert f">{tick}</text>" in drawn


def test_a_figure_is_the_same_every_time(official, left_out) -> None:
    for runs in (official, left_out):
        one, two = draw_study(runs, title="tiny"), draw_study(runs, title="tiny")
        assert one == two
        assert "<dc:date>" not in one


def test_the_report_stands_beside_the_expectations(official, files: StudyFiles) -> None:
    written = write_study_report(files, official)
    assert [path.name for path in written] == ["report.md", "report.svg"]
    assert {path.parent for path in written} == {files.folder}
    assert "(report.svg)" in written[0].read_text()


def test_the_leaderboard_replaces_what_stands_between_the_markers(
    official, files: StudyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "README.md"
    page.write_text("# head\n<!-- leaderboard: tiny -->\nold\n<!-- /leaderboard: tiny -->\ntail\n")
    assert write_leaderboard(files, official, page) == []
    assert "old" in page.read_text()
    monkeypatch.setattr(StudyFiles, "is_own", property(lambda self: True))
    assert write_leaderboard(files, official, page) == [page]
    text = page.read_text()
    assert text.startswith("# head\n")
    assert text.endswith("tail\n")
    assert "old" not in text
    assert "\n    sitrepbench reproduce tiny\n" in text
    assert "| 1 | " in text
    # Again it is the same.
    write_leaderboard(files, official, page)
    assert page.read_text() == text
    page.write_text("no place for it\n")
    assert write_leaderboard(files, official, page) == []
    page.write_text("<!-- leaderboard: tiny -->\nand no end\n")
    with pytest.raises(ConfigError, match=r"README.md: expected one line"):
        write_leaderboard(files, official, page)


@pytest.mark.parametrize("text", ["<a></a><a></a>", "</a><a>", "none"])
def test_markers_must_be_there_once_in_order(text: str) -> None:
    with pytest.raises(ConfigError):
        replace_between(text, "x", begin="<a>", end="</a>")
