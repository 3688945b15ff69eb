"""``sitrepbench compare`` and ``submission`` on a small store of real runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import sitrepbench
from sitrepbench.cli import main
from sitrepbench.models.example import example_sentences
from sitrepbench.store.looks import LookLedger

QUICK = ("tracking=none",)
Told = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a store of three runs on it, and a file of somebody's."""
    folder = tmp_path_factory.mktemp("compare")
    sentences, labels = example_sentences(20)
    frame = sentences.assign(label=labels)
    documents = sorted(frame["document_id"].unique())
    frame["split"] = frame["document_id"].map(
        {name: "test" if at % 4 == 0 else "train" for at, name in enumerate(documents)}
    )
    frame.to_csv(folder / "table.csv", index=False)
    store = folder / "results"
    data = f"dataset.path={folder / 'table.csv'}"
    for words in (["model=complement_nb"], ["model=complement_nb", "model.alpha=0.01"]):
        sitrepbench.run(*QUICK, "features=word", data, *words, results_dir=store)
    result = sitrepbench.run(*QUICK, data, "model=keyword_rules", results_dir=store)
    theirs = result.predictions[["sentence_id", "predicted"]]
    theirs.to_csv(folder / "theirs.csv", index=False)
    return folder


@pytest.fixture
def told(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Told:
    """Run the command line in that folder; return exit code, output and errors."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.slow
def test_two_runs_with_folds_and_sentences(told: Told) -> None:
    code, out, err = told("compare", "cnb word", "keywords", "--permutations", "99")
    assert code == 0, err
    assert "A: cnb word   B: keywords" in out
    assert "Nadeau-Bengio over folds p" in out
    assert "Where they disagree, for example:" in out
    assert max(map(len, out.splitlines())) <= 80
    _, plain, _ = told("compare", "cnb word", "keywords", "--permutations", "99", "--json")
    examples = json.loads(plain)["pairs"][0]["disagreements"]["examples"]
    texts = set(pd.read_csv("table.csv")["text"])
    assert examples
    assert all(example["text"] in texts for example in examples)


@pytest.mark.slow
def test_sentences_that_cannot_be_read_any_more_cost_only_themselves(
    told: Told, place: Path
) -> None:
    aside = (place / "table.csv").rename(place / "aside.csv")
    try:
        code, out, err = told("compare", "cnb word", "keywords", "--permutations", "9")
    finally:
        aside.rename(place / "table.csv")
    assert code == 0
    assert "Where they disagree" in out
    assert "Texts of examples are not shown" in err


def test_a_file_beside_a_run_and_beside_a_dataset(told: Told, place: Path) -> None:
    code, out, err = told("compare", "cnb word", "theirs.csv", "--permutations", "99", "--json")
    assert code == 0, err
    with_run = json.loads(out)
    assert [entry["kind"] for entry in with_run["entries"]] == ["run", "file"]
    (place / "same.csv").write_text((place / "theirs.csv").read_text())
    words = ("--dataset", "table.csv", "--results-dir", "nowhere", "--json", "--csv", "d.csv")
    code, out, err = told("compare", "theirs.csv", "same.csv", *words)
    assert code == 0, err
    alone = json.loads(out)
    assert alone["entries"][0]["scores"] == with_run["entries"][1]["scores"]
    assert alone["pairs"][0]["p_randomisation"] == 1
    assert alone["pairs"][0]["verdict"] == "theirs and same say the same about every sentence."
    assert len(pd.read_csv("d.csv")) == 1 + len(alone["labels"])
    assert not (place / "nowhere").exists()


def test_models_of_a_study_and_names_that_are_equal(told: Told, place: Path) -> None:
    code, _, err = told("compare", "complement_nb", "keyword_rules", "--study", "adhoc")
    assert code == 8
    assert "'complement_nb' could be any of 2 runs of the study 'adhoc'" in err
    code, _, err = told("compare", "keyword_rules", "keyword_rulez", "--study", "adhoc")
    assert code == 8
    assert "Did you mean 'keyword_rules'?" in err
    code, _, err = told("compare", "keyword_rules", "x", "--study", "adohc")
    assert (code, "Did you mean 'adhoc'?" in err) == (8, True)
    (place / "sub").mkdir(exist_ok=True)
    (place / "sub" / "theirs.csv").write_text((place / "theirs.csv").read_text())
    code, out, _ = told(
        "compare", "keyword_rules", "theirs.csv", "sub/theirs.csv", "--study", "adhoc", "--json",
        "--permutations", "9",
    )  # fmt: skip
    assert code == 0
    names = [entry["name"] for entry in json.loads(out)["entries"]]
    assert names == ["keywords", "theirs (theirs.csv)", "theirs (sub/theirs.csv)"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["cnb word"], 3, "needs two entries or more, found one: 'cnb word'"),
        (["cnb wrod", "keywrods"], 8, "Did you mean 'cnb word'?"),
        (["cnb wrod", "keywrods"], 8, "Did you mean 'keywords'?"),
        (["keywords", "keywords"], 3, "are the same predictions"),
        (["keywords", "absent.csv"], 4, "there is no such file"),
        (["keywords", "theirs.csv", "--part", "dev"], 4, "no predictions of part 'dev'"),
        (["keywords", "cnb word", "--part", "dev"], 4, "not all entries have the part 'dev'"),
        (["theirs.csv", "sub/x.csv"], 3, "hold no gold labels"),
        (["theirs.csv", "table.csv", "--dataset", "sitrpe"], 3, "Did you mean 'sitrep'?"),
        (["keywords", "x", "--results-dir", "away"], 8, "no results store away"),
        (["keywords", "cnb word", "--examples", "-1"], 3, "--examples -1: expected 0 or more"),
        (["keywords", "cnb word", "--csv", "no/x.csv"], 3, "there is no such folder"),
    ],
)
def test_mistakes_get_one_clear_report(
    told: Told, words: list[str], code: int, message: str
) -> None:
    found, out, err = told("compare", *words)
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_a_file_on_a_test_split_is_a_look(told: Told, place: Path) -> None:
    table = pd.read_csv("table.csv")
    store = place / "looked"
    tests = table[table["split"] == "test"]
    position = tests.groupby("document_id").cumcount().astype(str)
    rows = pd.DataFrame({"sentence_id": tests["document_id"] + ":" + position})
    if "sentence_id" in tests:
        rows = tests[["sentence_id"]]
    for label in ("background", "denial"):
        rows.assign(label=label).to_csv(place / f"{label}.csv", index=False)
    words = ("compare", "background.csv", "denial.csv", "--dataset", "table.csv", "--part", "test",
             "--results-dir", str(store), "--permutations", "9")  # fmt: skip
    code, out, err = told(*words)
    assert (code, out) == (6, "")
    assert "--reason" in err
    assert not store.exists()
    code, _, err = told(*words, "--reason", "the paper")
    assert code == 0, err
    looks = LookLedger(store).read()
    assert [(look.split, look.reason) for look in looks] == 2 * [("test", "the paper")]
    assert all(look.key.startswith("file:") for look in looks)
    assert told(*words)[0] == 0  # the same look
    assert len(LookLedger(store).read()) == 2
    # A file with problems is not scored, so it is no look.
    rows.iloc[1:].assign(label="denial").to_csv(place / "denial.csv", index=False)
    assert told(*words, "--reason", "again")[0] == 4
    assert len(LookLedger(store).read()) == 2


def test_a_submission_is_checked_and_compared(told: Told, place: Path) -> None:
    card = place / "card.yaml"
    card.write_text(
        "name: rules of theirs\nauthors: A. Author\ndescription: words\n"
        "predictions: theirs.csv\ndataset: table.csv\npart: cv\n"
    )
    code, out, err = told("submission", "card.yaml")
    assert code == 0, err
    assert "The submission can be ranked." in out
    code, out, _ = told("submission", "card.yaml", "--json")
    assert (code, json.loads(out)["can_be_ranked"]) == (0, True)
    code, out, err = told("compare", "cnb word", "card.yaml", "--json", "--permutations", "9")
    assert code == 0, err
    assert [entry["name"] for entry in json.loads(out)["entries"]] == [
        "cnb word", "rules of theirs",
    ]  # fmt: skip
    card.write_text(card.read_text().replace("part: cv", "part: cvv").replace("authors", "autors"))
    code, out, err = told("submission", "card.yaml")
    assert (code, out) == (4, "")
    assert "Did you mean 'authors'?" in err
    card.write_text(card.read_text().replace("autors", "authors"))
    code, _, err = told("submission", "card.yaml")
    assert (code, "Did you mean 'cv'?" in err) == (4, True)
    code, _, err = told("compare", "cnb word", "card.yaml")
    assert (code, "is of part 'cvv'" in err) == (4, True)
