"""``reproduce``: PASS where nothing changed; FAIL with the cause named where something did."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sitrepbench.cli import main
from sitrepbench.config import key
from sitrepbench.config.overrides import parse_override
from sitrepbench.labels import LABELS
from sitrepbench.preparing import forget_data
from sitrepbench.reproduction.refits import hydra_value
from sitrepbench.store.results import ResultsStore

CONFIG = 3
WORDS = ("killed", "denied", "talks", "fled", "hill")
STUDY = """\
# @package _global_
# Question: which of two models is better on a few
#   sentences?
# Command:  sitrepbench run -cd own experiments=tiny
defaults:
  - override /dataset: table
  - override /protocol: grouped_cv
  - override /features: word
  - override /executor: serial
  - override /tracking: none

study: tiny

dataset:
  path: {table}
protocol:
  n_folds: 2
{tuner}
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      model: keyword_rules,{model}
"""
OWN_MODEL = """\
from sklearn.naive_bayes import ComplementNB

class Mine(ComplementNB):
    def predict(self, X):
        return super().predict(X)
"""


def write_table(file: Path, *, first: str = LABELS[0]) -> None:
    """Write documents whose words give most labels away; ``first`` is the first sentence's."""
    lines = ["doc_id,text,label"]
    for document in range(12):
        for at, label in enumerate(LABELS):
            said = WORDS[(at + (document % 4 == 0)) % len(WORDS)]
            shown = first if (document, at) == (0, 0) else label
            lines.append(f"d{document},{said} number {document} in the town,{shown}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Place:
    """A user's folder with a study of two models over a small table."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.table = folder / "mine.csv"
        self.study = folder / "own" / "experiments" / "tiny.yaml"
        self.expected = folder / "own" / "experiments" / "tiny" / "expected.json"
        self._capsys = capsys
        self.study.parent.mkdir(parents=True)
        write_table(self.table)
        self.write()

    def write(self, *, model: str = "complement_nb", tuner: str = "") -> None:
        self.study.write_text(
            STUDY.format(table=self.table, model=model, tuner=tuner), encoding="utf-8"
        )

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Run ``reproduce tiny`` as a fresh process would, beside the store."""
        forget_data()
        key.source_digests.cache_clear()
        try:
            code = main(["reproduce", "tiny", "-cd", str(self.folder / "own"), "--results-dir",
                         str(self.folder / "re sults"), *arguments])  # fmt: skip
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def runs(self) -> int:
        return len(ResultsStore(self.folder / "re sults").finished())


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(tmp_path, capsys)


@pytest.fixture
def known(place: Place) -> Place:
    code, _, err = place.call("--update")
    assert code == 0, err
    return place


def test_a_study_without_expectations_says_how_to_make_them(place: Place) -> None:
    code, _, err = place.call()
    assert code == CONFIG
    assert f"reproduce tiny --config-dir {place.folder}/own --update" in err
    assert str(place.expected) in err
    assert not (place.folder / "re sults").exists()


def test_an_unknown_study_is_refused_with_the_nearest(place: Place) -> None:
    code = main(["reproduce", "tinyy", "-cd", str(place.folder / "own")])
    assert code == CONFIG
    assert "Did you mean 'tiny'?" in place._capsys.readouterr().err


@pytest.mark.slow
def test_an_update_writes_expectations_and_a_report(place: Place) -> None:
    code, out, err = place.call("--update")
    assert code == 0, err
    assert "2 runs: 0 in the store, 2 to compute" in err
    content = json.loads(place.expected.read_text())
    assert [run["overrides"] for run in content["runs"]] == [
        ["model=keyword_rules"], ["model=complement_nb"],
    ]  # fmt: skip
    report = (place.expected.parent / "report.md").read_text()
    assert "which of two models is better on a few sentences?" in report
    assert (place.expected.parent / "report.svg").read_text().startswith("<?xml")
    for name in ("expected.json", "report.md", "report.svg"):
        assert name in out


@pytest.mark.slow
def test_again_all_pass_and_nothing_is_computed(known: Place) -> None:
    code, out, err = known.call()
    assert code == 0
    assert "2 runs: all in the store, 0 to compute" in err
    assert out.count("PASS") == 3
    assert "FAIL" not in out
    assert max(len(line) for line in out.splitlines()) <= 80
    content = json.loads(known.call("--json")[1])
    assert content["passed"]
    assert all(check["passed"] for run in content["runs"] for check in run["checks"])


@pytest.mark.slow
def test_runs_that_are_not_there_are_computed_and_pass(known: Place) -> None:
    store = ResultsStore(known.folder / "re sults")
    for name in store.finished():
        store.remove(name)
    code, out, err = known.call()
    assert code == 0, out
    assert "2 to compute" in err
    # The table stands in the place of the ranked one.
    assert "PASS: 2 of 2 runs" in out
    assert "taken from the store" not in out
    assert re.search(r"Sweep \w+: sitrepbench status", out)


@pytest.mark.slow
def test_one_changed_label_fails_with_the_data_as_the_cause(known: Place) -> None:
    write_table(known.table, first="background")
    code, out, _ = known.call()
    assert code == 1
    assert "FAIL: 0 of 2 runs" in out
    assert re.search(r"cause:\s+data: scored: \w{4}\.\. -> \w{4}\.\.", out)
    table = out.partition("Sweep ")[0]  # a command is never wrapped
    assert max(len(line) for line in table.splitlines()) <= 80


@pytest.mark.slow
def test_one_changed_setting_fails_with_it_as_the_cause(known: Place) -> None:
    code, out, _ = known.call("model=complement_nb", "model.alpha=3.5")
    assert code == 1
    assert "setting: model.alpha: 0.3 -> 3.5" in out
    assert "FAIL: 0 of 1 runs" in out


@pytest.mark.slow
def test_one_changed_line_of_the_program_fails_with_its_file_as_the_cause(
    known: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sitrepbench.models.keywords import KeywordRules

    told = {**key.source_digests(), "models/keywords.py": "0" * 16}
    monkeypatch.setattr(key, "source_digests", _cached(lambda: told))
    code, out, _ = known.call()
    assert code == 0  # the line moved no number
    assert "moved no number" in out
    assert "source of the program: models/keywords.py: changed" in out

    told["models/keywords.py"] = "1" * 16
    plain = KeywordRules.predict
    monkeypatch.setattr(KeywordRules, "predict", lambda self, X: plain(self, X)[::-1])
    code, out, _ = known.call()
    assert code == 1
    head, _, tail = out.partition("FAIL keyword_rules")
    assert "complement_nb" in head
    assert "labels: expected" in tail
    assert "cause:  source of the program: models/keywords.py: changed" in tail
    assert "FAIL: 1 of 2 runs" in out


def _cached(function: Callable[[], dict[str, str]]) -> Callable[[], dict[str, str]]:
    function.cache_clear = lambda: None  # type: ignore[attr-defined]
    return function


@pytest.mark.slow
def test_one_changed_line_of_a_users_model_is_the_cause(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = place.folder / "lib"
    package.mkdir()
    file = package / "tinymodel_c.py"
    file.write_text(OWN_MODEL)
    monkeypatch.syspath_prepend(str(package))
    (place.folder / "own" / "model").mkdir()
    (place.folder / "own" / "model" / "mine.yaml").write_text("_target_: tinymodel_c.Mine\n")
    place.write(model="mine")
    assert place.call("--update")[0] == 0
    assert place.call()[0] == 0
    import sys

    file.write_text(OWN_MODEL.replace("predict(X)", "predict(X)[::-1]"))
    del sys.modules["tinymodel_c"]
    code, out, _ = place.call()
    assert code == 1
    assert "your own source: tinymodel_c.Mine.tinymodel_c.py: changed" in out
    del sys.modules["tinymodel_c"]


@pytest.mark.slow
def test_a_run_that_fails_is_a_failure_with_its_message(known: Place) -> None:
    known.table.write_text("doc_id,text,label\nd1,a text,nonsense\n", encoding="utf-8")
    code, out, _ = known.call()
    assert code == 1
    assert "FAIL keyword_rules" in out
    assert "nonsense" in out


@pytest.mark.slow
def test_an_update_shows_what_differs_and_writes_it(known: Place) -> None:
    before = json.loads(known.expected.read_text())
    write_table(known.table, first="background")
    code, out, _ = known.call("--update")
    assert code == 0
    assert "data: scored" in out
    after = json.loads(known.expected.read_text())
    assert before["key_parts"]["data"] != after["key_parts"]["data"]
    assert known.call()[0] == 0


@pytest.mark.slow
def test_an_update_of_less_than_the_study_as_it_stands_is_refused(known: Place) -> None:
    before = known.expected.read_text()
    code, _, err = known.call("--update", "model.alpha=1", "executor=serial")
    assert code == CONFIG
    assert "model.alpha=1: expectations are those of the whole study" in err
    known.table.unlink()
    code, out, _ = known.call("--update")
    assert code == 1
    assert "Nothing was written: keyword_rules, complement_nb failed" in out
    assert known.expected.read_text() == before


@pytest.mark.slow
def test_a_part_of_a_study_can_be_reproduced(known: Place) -> None:
    code, out, _ = known.call("model=complement_nb")
    assert code == 0
    assert "keyword_rules" not in out
    code, _, err = known.call("model.alpha=1,2")
    assert code == CONFIG
    assert "does not sweep that" in err


@pytest.mark.slow
def test_runs_that_came_or_went_fail(known: Place) -> None:
    known.write(model="majority")
    code, out, _ = known.call()
    assert code == 1
    assert "the study has no such run any more" in out
    assert "expected.json has no such run" in out
    assert "FAIL: 1 of 3 runs" in out


TUNER = """
tuner:
  n_folds: 2
  grid: {alpha: [0.05, 0.05]}
"""


def tuned(place: Place) -> None:
    """Make the study one of a single model with a search."""
    place.write(tuner="")
    study = place.study.read_text().replace(
        "model: keyword_rules,complement_nb", "model: complement_nb"
    )
    study = study.replace("  - override /tracking: none\n",
                          "  - override /tracking: none\n  - override /tuner: grid\n")  # fmt: skip
    place.study.write_text(study.replace("hydra:", TUNER.strip() + "\n\nhydra:"))


@pytest.mark.slow
def test_a_committed_choice_is_refitted_and_with_retune_searched(place: Place) -> None:
    tuned(place)
    code, _, err = place.call("--update")
    assert code == 0, err
    (run,) = json.loads(place.expected.read_text())["runs"]
    assert place.runs() == 1
    assert list(run["chosen"]) == ["alpha"]
    code, out, err = place.call()
    assert code == 0, err
    # Another key, the same labels.
    assert "1 to compute" in err
    assert place.runs() == 2
    code, out, err = place.call("--retune")
    assert code == 0, out
    assert "all in the store" in err
    before = place.expected.read_text()
    assert place.call("--update")[0] == 0
    # A refit keeps the search that came before it.
    old, new = json.loads(before), json.loads(place.expected.read_text())
    assert old["runs"][0]["chosen"] == new["runs"][0]["chosen"]
    assert old["key_parts"]["config"]["tuner"] == new["key_parts"]["config"]["tuner"]
    assert place.call("--retune")[0] == 0


@pytest.mark.slow
def test_another_search_than_the_committed_one_fails(place: Place) -> None:
    tuned(place)
    assert place.call("--update")[0] == 0
    before = place.expected.read_text()
    code, out, _ = place.call("tuner.trials=1")
    assert code == 1
    assert "cause:  search: trials: null -> 1" in out
    place.study.write_text(
        place.study.read_text().replace("n_folds: 2\n  grid", "n_folds: 3\n  grid")
    )
    code, out, _ = place.call()
    assert code == 1
    assert "search: n_folds: 2 -> 3" in out
    assert "FAIL: 0 of 1 runs" in out
    code, _, err = place.call("--update")
    assert code == CONFIG
    assert "search: n_folds: 2 -> 3" in err
    assert "--update --retune" in err
    assert place.expected.read_text() == before
    assert place.call("--update", "--retune")[0] == 0
    assert json.loads(place.expected.read_text())["key_parts"]["config"]["tuner"]["n_folds"] == 3
    assert place.call()[0] == 0


@pytest.mark.slow
def test_a_search_that_was_taken_away_fails(place: Place) -> None:
    tuned(place)
    assert place.call("--update")[0] == 0
    text = place.study.read_text().replace("  - override /tuner: grid\n", "")
    place.study.write_text(text.replace(TUNER.strip() + "\n", ""))
    code, out, _ = place.call()
    assert code == 1
    assert "cause:  search: " in out


def test_a_users_study_with_the_name_of_a_programs_is_refused(place: Place) -> None:
    place.study.rename(place.study.with_name("seeds.yaml"))
    code = main(["reproduce", "seeds", "-cd", str(place.folder / "own")])
    assert code == CONFIG
    assert "the program has a study 'seeds' of its own" in place._capsys.readouterr().err


@pytest.mark.slow
def test_broken_expectations_are_mended_by_an_update(known: Place) -> None:
    known.expected.write_text("{")
    code, _, err = known.call()
    assert code == CONFIG
    assert f"sitrepbench reproduce tiny --config-dir {known.folder}/own --update" in err
    code, _, err = known.call("--update")
    assert code == 0
    assert "Warning: " in err
    assert known.call()[0] == 0


@pytest.mark.slow
def test_broken_expectations_of_a_search_need_a_new_one(place: Place) -> None:
    tuned(place)
    assert place.call("--update")[0] == 0
    place.expected.write_text("{")
    code, _, err = place.call("--update")
    assert code == CONFIG
    assert "--update --retune" in err
    assert place.call("--update", "--retune")[0] == 0


@pytest.mark.slow
def test_commands_for_a_users_study_name_its_folder(known: Place) -> None:
    option = f"--config-dir {known.folder}/own"
    assert f"reproduce tiny {option} --update" in (known.expected.parent / "report.md").read_text()
    known.table.unlink()
    _, out, err = known.call()
    assert f"sitrepbench run {option} " in err
    assert option in out


@pytest.mark.slow
def test_what_fails_in_the_same_way_is_told_once(known: Place) -> None:
    known.table.unlink()
    _, out, _ = known.call()
    assert "FAIL keyword_rules, complement_nb\n" in out
    assert out.count("mine.csv") == 1


@pytest.mark.slow
def test_a_part_says_of_how_many_and_what_is_not_listed_is_refused(known: Place) -> None:
    assert "PASS: 1 of 1 runs (of 2 in the study)" in known.call("model=complement_nb")[1]
    code, _, err = known.call("model=majority")
    assert code == CONFIG
    assert "majority: the study does not list that. It lists: keyword_rules, complement_nb" in err


@pytest.mark.parametrize(
    "value",
    [
        {"C": 1e-05, "parts.svm.model.C": 0.1},
        {"a": None, "b": True, "c": [1, 2.5, "x y"], "d": {"e": "f,g"}},
        {"quote": "it's", "slash": "a\\", "both": "\\'", "empty": "", "word": "null"},
    ],
)
def test_settings_come_through_hydras_grammar(value: object) -> None:
    assert parse_override(f"++tuner.settings={hydra_value(value)}").value() == value


@pytest.mark.slow
def test_runs_are_compared_with_published_numbers(known: Place) -> None:
    content = json.loads(known.expected.read_text(encoding="utf-8"))
    (part,) = {part for run in content["runs"] for part in run["scores"]}
    ours = {run["overrides"][0]: run["scores"][part]["macro_f1"] for run in content["runs"]}
    numbers: dict[str, dict[str, float]] = {
        name: {"RF": 0.5, "SVM": round(score + 0.01, 4)} for name, score in ours.items()
    }
    published = {"source": "A made-up paper, Table 1", "part": part, "metric": "macro_f1",
                 "compared": "SVM", "within": 0.02, "mean_within": 0.015,
                 "runs": numbers}  # fmt: skip
    file = known.expected.with_name("published.yaml")
    file.write_text(json.dumps(published), encoding="utf-8")
    code, out, err = known.call()
    assert code == 0, err
    assert "PASS: 2 of 2 runs within 0.02 of the published SVM" in out
    assert "A made-up paper, Table 1" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = known.call("--json")
    assert code == 0
    assert json.loads(out)["published"]["mean_difference"] == pytest.approx(0.01, abs=1e-4)

    # One run too far away fails the study, though each number is as expected.
    first = next(iter(numbers))
    numbers[first]["SVM"] = ours[first] + 0.03
    file.write_text(json.dumps(published), encoding="utf-8")
    code, out, _ = known.call()
    assert code == 1
    assert "FAIL: 1 of 2 runs within 0.02" in out

    # Nor may a broken file pass for none.
    file.write_text(json.dumps({**published, "compared": "SVN"}), encoding="utf-8")
    code, _, err = known.call()
    assert code == CONFIG
    assert "has no 'SVN', which is compared. Did you mean 'SVM'?" in err


@pytest.mark.slow
def test_the_programs_own_study_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forget_data()
    code = main(["reproduce", "seeds", "--results-dir", str(tmp_path / "results"),
                 "executor=serial", "tracking=none"])  # fmt: skip
    out = capsys.readouterr().out
    assert code == 0, out
    assert "PASS: 2 of 2 runs" in out
