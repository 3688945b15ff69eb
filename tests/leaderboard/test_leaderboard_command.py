"""``leaderboard`` over real, tiny runs: what it shows, and what it refuses to rank."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from sitrepbench.cli import main
from sitrepbench.labels import LABELS
from sitrepbench.preparing import forget_data
from sitrepbench.store.looks import LookLedger
from sitrepbench.store.results import ResultsStore

CONFIG, DATA, PROTOCOL, LOCKED, STORE = 3, 4, 5, 6, 8
WORDS = ("killed", "denied", "talks", "fled", "hill")
STUDY = """\
# @package _global_
# Question: which of a few models is better?
# Command:  sitrepbench run -cd {own} experiments=tiny
defaults:
  - override /dataset: table
  - override /protocol: official
  - override /features: word
  - override /executor: serial
  - override /tracking: none

study: tiny

dataset:
  path: {table}
protocol:
  score: {score}
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      model: {models}
{more}"""


class Place:
    """A user's folder with a study over a small table, run into a store."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.table = folder / "mine.csv"
        self.own = folder / "own"
        self.results = folder / "results"
        self.study = self.own / "experiments" / "tiny.yaml"
        self._capsys = capsys
        self.study.parent.mkdir(parents=True)
        self.write_table()
        self.write()

    def write_table(self, *, more: str = "") -> None:
        lines = ["sentence_id,doc_id,text,label,split"]
        for document in range(24):
            split = ("train", "train", "dev", "test")[document % 4]
            for at, label in enumerate(LABELS):
                said = WORDS[(at + (document % 5 == 0)) % len(WORDS)]
                text = f"{said} number {document} in the town{more}"
                lines.append(f"s{document}.{at},d{document},{text},{label},{split}")
        self.table.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def write(
        self, models: str = "keyword_rules,complement_nb", more: str = "", score: str = "[dev]"
    ) -> None:
        self.study.write_text(
            STUDY.format(own=self.own, table=self.table, models=models, more=more, score=score),
            encoding="utf-8",
        )

    def call(self, *arguments: str) -> tuple[int, str, str]:
        forget_data()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def run(self, *overrides: str) -> None:
        code, _, err = self.call(
            "run", "-cd", str(self.own), "experiments=tiny", f"results_dir={self.results}",
            *overrides,
        )  # fmt: skip
        assert code == 0, err

    def board(self, *arguments: str) -> tuple[int, str, str]:
        return self.call("leaderboard", "tiny", "-cd", str(self.own),
                         "--results-dir", str(self.results), *arguments)  # fmt: skip

    def submit(self, name: str, part: str = "dev", *, table: Path | None = None) -> Path:
        """Hand in what is right everywhere but in one sentence."""
        rows = list(csv.DictReader(self.table.read_text(encoding="utf-8").splitlines()))
        wanted = [row for row in rows if row["split"] == part]
        lines = ["sentence_id,predicted"]
        lines += [f"{row['sentence_id']},{row['label'] if at else LABELS[-1]}"
                  for at, row in enumerate(wanted)]  # fmt: skip
        (self.folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        card = self.folder / f"{name}.yaml"
        card.write_text(
            f"name: {name}\nauthors: somebody\ndescription: by hand\npredictions: {name}.csv\n"
            f"dataset: {(table or self.table).name}\npart: {part}\n",
            encoding="utf-8",
        )
        return card


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(tmp_path, capsys)


@pytest.fixture
def ran(place: Place) -> Place:
    place.run()
    return place


@pytest.mark.slow
def test_a_finished_study_is_ranked_and_written(ran: Place) -> None:
    files = [ran.folder / f"board{suffix}" for suffix in (".md", ".csv", ".html", ".svg")]
    code, out, err = ran.board(*(word for file in files for word in ("--output", str(file))))
    assert code == 0, err
    assert "Leaderboard of tiny: macro-F1 of mine dev" in out
    assert "30 sentences of 6 documents, 2 rows" in out
    assert max(map(len, out.splitlines())) <= 80
    assert all(file.stat().st_size for file in files)
    assert all(str(file) in err for file in files)
    content = json.loads(ran.board("--json")[1])
    names = {row["name"]: row for row in content["rows"]}
    assert set(names) == {"keyword_rules", "complement_nb"}
    store = ResultsStore(ran.results)
    for row in store.rows():
        assert names[row.model]["macro_f1"] == pytest.approx(row.score(), abs=1e-6)
        assert names[row.model]["looks"]["by_hand"] == 0


@pytest.mark.slow
def test_missing_runs_are_named_with_the_command_that_computes_them(ran: Place) -> None:
    ran.write("keyword_rules,complement_nb,majority")
    code, out, err = ran.board()
    assert code == STORE
    assert not out
    assert "1 of 3 runs are not in" in err
    assert "majority: not in the store" in err
    assert f"experiments=tiny results_dir={ran.results}" in " ".join(err.split())
    ran.run()
    assert ran.board()[0] == 0


@pytest.mark.slow
def test_a_run_of_other_data_is_stale_and_says_why(ran: Place) -> None:
    ran.write_table(more=" today")
    code, _, err = ran.board()
    assert code == STORE
    assert "2 of 2 runs" in err
    assert "keyword_rules: stale" in err
    assert "data.scored" in err or "data: scored" in err


def test_without_a_store_nothing_is_made(place: Place) -> None:
    code, _, err = place.board()
    assert code == STORE
    assert "no results store" in err
    assert not place.results.exists()


@pytest.mark.slow
def test_a_study_of_several_protocols_is_refused(place: Place) -> None:
    place.write(more="      protocol.n_folds: 2,3\n")
    text = place.study.read_text().replace("official", "grouped_cv")
    place.study.write_text(text.replace("score: [dev]", "n_repeats: 1"), encoding="utf-8")
    place.run()
    code, _, err = place.board()
    assert code == PROTOCOL
    assert "2 protocols" in err
    assert "keyword_rules n_folds=2, complement_nb n_folds=2" in err
    assert "n_folds: 2 -> 3" in err


@pytest.mark.slow
def test_seeds_are_averaged_into_one_row(place: Place) -> None:
    place.write("sgd,complement_nb", more="      seed: 1,2,3\n")
    place.run()
    code, out, err = place.board("--json")
    assert code == 0, err
    runs = {row["name"]: row["runs"] for row in json.loads(out)["rows"]}
    assert runs["sgd"] == 3
    assert runs["complement_nb"] == 1  # it draws nothing: the three are one run


@pytest.mark.slow
def test_a_submission_is_ranked_among_the_runs(ran: Place) -> None:
    card = ran.submit("theirs")
    code, out, err = ran.board("--submission", str(card), "--json")
    assert code == 0, err
    content = json.loads(out)
    (row,) = [row for row in content["rows"] if row["kind"] == "submission"]
    assert (row["name"], row["authors"]) == ("theirs", "somebody")
    assert 0.9 < row["macro_f1"] < 1
    assert row["seconds"]["fit"] is None


@pytest.mark.slow
def test_submissions_kept_with_a_study_are_shown(ran: Place) -> None:
    folder = ran.own / "experiments" / "tiny" / "submissions"
    folder.mkdir(parents=True)
    for file in (ran.submit("theirs"), ran.folder / "theirs.csv", ran.table):
        (folder / file.name).write_bytes(file.read_bytes())
    code, out, err = ran.board()
    assert code == 0, err
    assert "theirs (submission)" in out


@pytest.mark.slow
def test_a_submission_of_other_data_or_parts_is_refused(ran: Place) -> None:
    other = ran.folder / "other.csv"
    other.write_text(ran.table.read_text().replace("town", "city"), encoding="utf-8")
    code, _, err = ran.board("--submission", str(ran.submit("theirs", table=other)))
    assert code == DATA
    assert "digest" in err
    code, _, err = ran.board("--submission", str(ran.submit("tested", "test")))
    assert code == DATA
    assert "of part 'test'" in err


@pytest.mark.slow
def test_a_submission_on_a_test_split_is_a_look(place: Place) -> None:
    ran = place
    ran.write(score="[dev,test]")
    for model in ("keyword_rules", "complement_nb"):  # no sweep may look at a test split
        ran.run(f"model={model}", "unlock.reason=a trial")
    ledger = LookLedger(ran.results)
    before = len(ledger.read())
    card = str(ran.submit("tested", "test"))
    code, _, err = ran.board("--part", "test", "--submission", card)
    assert code == LOCKED
    assert "--reason" in err
    assert len(ledger.read()) == before
    code, out, err = ran.board("--part", "test", "--submission", card, "--reason", "final",
                               "--json")  # fmt: skip
    assert code == 0, err
    look = ledger.read()[-1]
    assert (look.split, look.reason, look.key[:5], len(look.key)) == ("test", "final", "file:", 21)
    rows = json.loads(out)["rows"]
    assert len(rows) == 3
    assert all(row["looks"] == {"by_hand": 1, "declared": 0, "reproduced": 0} for row in rows)
    assert json.loads(out)["looks"]["by_hand"] == 3
    # The same file again tells nothing new.
    assert ran.board("--part", "test", "--submission", card)[0] == 0
    assert len(ledger.read()) == before + 1


@pytest.mark.slow
def test_an_unknown_part_or_format_is_refused(ran: Place) -> None:
    code, _, err = ran.board("--part", "train")
    assert code == DATA
    assert "keyword_rules: has dev" in err
    code, _, err = ran.board("--output", "board.xls")
    assert code == CONFIG
    assert "board.xls" in err
