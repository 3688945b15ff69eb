"""``sitrepbench run`` as a user types it, from configuration to record and table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sitrepbench.cli import main
from sitrepbench.labels import LABELS
from sitrepbench.preparing import forget_data

EXIT = {"config": 3, "data": 4, "protocol": 5, "locked": 6, "model": 7, "store": 8}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    words = ["killed wounded", "denied baseless", "talks truce", "fled camp", "army hill"]
    rng = np.random.default_rng(2)
    lines = ["doc_id,text,label,conflict"]
    for document in range(25):
        for label, said in zip(LABELS, words, strict=True):
            text = f"{said} {document} {rng.integers(999)} in the town"
            lines.append(f"d{document},{text},{label},{'north' if document % 2 else 'south'}")
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def run(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process, untracked, and give exit code, output and errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        forget_data()
        given = list(arguments)
        if given[0] == "run":
            given += [f"results_dir={tmp_path / 'results'}", "tracking=none"]
            if not any(text.startswith(("dataset", "experiments")) for text in given):
                given += [f"dataset.path={table}"]
        elif given[0] in ("list", "show", "looks"):
            given += ["--results-dir", str(tmp_path / "results")]
        try:
            code = main(given)
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def test_a_run_prints_scores_and_leaves_a_record(run, tmp_path: Path) -> None:
    code, out, _ = run("run", "model=complement_nb", "features=word")
    assert code == 0
    for piece in (
        "complement_nb on word: mine, grouped_cv (cv)",
        "macro-F1",
        "evacuation",
        "125 sentences, 25 documents",
    ):
        assert piece in out
    (folder,) = (tmp_path / "results" / "runs").iterdir()
    content = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert content["run_name"] == "cnb word"
    assert content["environment"]["libraries"]["scikit-learn"]
    assert content["dataset"]["sentences"] == 125
    assert all(len(line) <= 80 for line in out.splitlines())


def test_the_same_command_is_taken_from_the_store(run) -> None:
    first = run("run", "model=linear_svm", "features=word")[1]
    code, again, _ = run("run", "model=linear_svm", "features=word")
    assert code == 0
    assert "taken from the store" in again
    assert first.splitlines()[:20] == again.splitlines()[:20]


def test_computing_again_gives_the_same_predictions(run) -> None:
    run("run", "features=word")
    before = json.loads(run("list", "--json")[1])[0]["key"]
    digest = json.loads(run("show", before, "--json")[1])["predictions_digest"]
    code, out, _ = run("run", "features=word", "resume=never")
    assert code == 0
    assert "computed in" in out
    after = json.loads(run("show", before, "--json")[1])
    assert after["predictions_digest"] == digest


def test_cached_only_computes_nothing(run, tmp_path: Path) -> None:
    code, _, err = run("run", "resume=cached_only")
    assert code == EXIT["store"]
    assert "resume=missing" in err
    assert not list((tmp_path / "results" / "runs").iterdir())


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (["modle=svm"], "config", "Did you mean model=svm?"),
        (["dataset.path=absent.csv"], "data", "absent.csv"),
        (["protocol.n_folds=26"], "protocol", "25 document group(s) available / 26 folds"),
        (["protocol=official"], "protocol", "it has no column 'split'"),
        (["dataset=seeds"], "protocol", "test splits only"),
        (["dataset=seeds", "protocol=score", "model=keyword_rules"], "locked", "unlock.reason="),
        (["protocol=score"], "model", "LinearSVC has to be fitted"),
        (["features=none"], "config", "LinearSVC needs features"),
        (["--cfg", "job", "--info=all"], "config", "only one of these"),
        (
            [
                "model._target_=sklearn.preprocessing.StandardScaler",
                "~model.C",
                "~model.class_weight",
            ],
            "config",
            "is no classifier",
        ),
        (["features.word_ngrams=[2,1]"], "config", "shortest and longest, found [2, 1]"),
        (["features.min_df=-1"], "config", "'min_df' parameter of TfidfVectorizer"),
        (["mine.csv"], "config", "expected KEY=VALUE, such as dataset.path=mine.csv"),
        (["study=../x"], "config", "study='../x': expected letters"),
        (["--resolve"], "config", "--resolve goes with --cfg"),
        (["-m", "modle=a,b"], "config", "Did you mean model="),
    ],
)
def test_mistakes_are_one_message_and_an_exit_code(run, arguments, kind, message) -> None:
    code, out, err = run("run", *arguments)
    assert code == EXIT[kind], err
    assert message in err
    assert "Traceback" not in err + out


def test_the_configuration_is_shown_and_checked(run) -> None:
    code, out, _ = run("run", "--cfg", "job", "model=complement_nb", "model.alpha=0.7")
    assert code == 0
    assert "alpha: 0.7" in out
    assert run("run", "--cfg", "job", "+model.alpa=1")[0] == EXIT["config"]


def test_help_lists_every_choice(run) -> None:
    code, out, _ = run("run", "--help")
    assert code == 0
    for choice in ("linear_svm", "grouped_cv", "word_char", "seeds", "mlflow"):
        assert choice in out
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.slow
def test_a_look_at_a_test_split_is_counted_and_stamped(run) -> None:
    given = ["dataset=seeds", "protocol=score", "model=keyword_rules"]
    code, out, _ = run("run", *given, "unlock.reason='a demonstration'")
    assert code == 0
    assert "Test split 'test' was read: a demonstration" in out
    looks = json.loads(run("looks", "--json")[1])
    assert [(look["split"], look["reason"], look["study"]) for look in looks] == [
        ("test", "a demonstration", "")
    ]
    run("run", *given, "unlock.reason='a demonstration'")
    assert len(json.loads(run("looks", "--json")[1])) == 1  # shown again, not read again
    out = run("looks")[1]
    assert "a demonstration" in out
    assert "test: 1 look: 1 by hand" in out


@pytest.mark.slow
def test_a_sweep_ranks_what_is_done_and_tells_what_failed(run) -> None:
    code, out, err = run("run", "-m", "model=complement_nb,linear_svm", "features=word,none")
    assert code == 1
    assert "2 of 4 runs done" in out
    assert out.index("macro-F1") < out.index("cnb word")
    assert err.count("\n    sitrepbench run model=") == 2
    assert "2 failed" in out
    assert "To try the failed ones again: sitrepbench run -m model=" in out
    assert "needs features" in err
    assert "Traceback" not in err


def test_a_userss_folder_of_configs_is_used(run, tmp_path: Path) -> None:
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "mine.yaml").write_text(
        "_target_: sklearn.linear_model.RidgeClassifier\n", encoding="utf-8"
    )
    code, out, _ = run("run", "--config-dir", str(tmp_path / "own"), "model=mine", "features=word")
    assert code == 0
    assert "mine on word" in out


def test_cross_dataset_trains_on_one_and_scores_another(run, table: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    text = table.read_text(encoding="utf-8").replace("in the town", "near a river")
    other.write_text(text, encoding="utf-8")
    code, out, _ = run(
        "run", f"dataset.path={table}", "protocol=cross_dataset", "dataset@protocol.target=table",
        f"protocol.target.path={other}", "features=word",
    )  # fmt: skip
    assert code == 0
    assert "other, trained on mine, cross_dataset (all)" in out


def test_notes_say_what_does_not_apply(run) -> None:
    code, out, _ = run("run", "model=keyword_rules")
    assert code == 0
    assert "features=word_char does not apply" in out


def test_lists_and_unknown_runs(run) -> None:
    assert run("list")[0] == EXIT["store"]
    run("run", "features=word")
    code, out, _ = run("list")
    assert code == 0
    assert "svm word" in out
    assert run("show", "svm word")[0] == 0
    code, _, err = run("show", "nothing")
    assert code == EXIT["store"]
    assert "no run 'nothing'" in err


def test_keywords_are_explained(run) -> None:
    code, out, _ = run("keywords", "The army denied it had shelled the camp.")
    assert code == 0
    assert out.splitlines()[0] == "denial"
    assert run("keywords", "--lexicon", "absent", "x")[0] == EXIT["config"]


@pytest.mark.slow
def test_predictions_do_not_depend_on_threads(table: Path, tmp_path: Path) -> None:
    digests = set()
    for threads in ("1", "2"):
        results = tmp_path / f"results{threads}"
        arguments = ["run", f"dataset.path={table}", f"results_dir={results}", "tracking=none",
                     "model=logistic_regression", f"executor.blas_threads={threads}"]  # fmt: skip
        subprocess.run(
            [sys.executable, "-m", "sitrepbench", *arguments],
            env={**os.environ, "OMP_NUM_THREADS": threads},
            check=True,
            capture_output=True,
        )
        (folder,) = (results / "runs").iterdir()
        content = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        digests.add(content["predictions_digest"])
    assert len(digests) == 1


@pytest.mark.slow
def test_the_main_job_on_real_sentences(require_path, repository: Path, tmp_path: Path) -> None:
    """The run that the README shows: macro-F1 is where independent runs found it."""
    path = require_path(
        repository.parent / "shared" / "real-text" / "sentences.csv",
        "381 real sentences that do not belong to the project",
    )
    arguments = ["run", "dataset=table", f"dataset.path={path}", "features=word_char",
                 "model=linear_svm", "tracking=none", f"results_dir={tmp_path}"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "sitrepbench", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    scores = json.loads((folder / "record.json").read_text(encoding="utf-8"))["scores"]["cv"]
    assert 0.52 < scores["macro_f1"] < 0.64
    assert scores["macro_f1_low"] < scores["macro_f1"] < scores["macro_f1_high"]


@pytest.mark.parametrize(
    "change",
    [
        "dataset:\n  name: seeds\nprotocol:\n  score: [test]\n",
        "model:\n  lexicon: another\n",
    ],
)
def test_no_other_file_can_use_a_committed_studys_look(run, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "own" / "experiments"
    folder.mkdir(parents=True)
    (folder / "peek.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /dataset: seeds\n"
        "  - override /protocol: score\n  - override /model: keyword_rules\n"
        f"study: seeds\n{change}",
        encoding="utf-8",
    )
    code, out, err = run("run", "--config-dir", str(tmp_path / "own"), "experiments=peek")
    assert code == EXIT["config"], out
    assert "this is another run" in err


@pytest.mark.slow
def test_a_committed_study_looks_for_itself_only(run, tmp_path: Path, require) -> None:
    lexicon = tmp_path / "mine.yaml"
    lexicon.write_text(
        "name: mine\nversion: '1'\ndefault: background\n"
        "order: [casualty_report, denial, negotiation, evacuation, background]\n"
        "labels: {casualty_report: {}, denial: {}, negotiation: {}, evacuation: {}, "
        "background: {}}\n",
        encoding="utf-8",
    )
    code, _, err = run("run", "experiments=seeds", "model=keyword_rules",
                       f"model.lexicon={lexicon}")  # fmt: skip
    assert code == 1
    assert "this is another run" in err


def test_another_reason_is_another_look(run) -> None:
    given = ["run", "dataset=seeds", "protocol=score", "model=keyword_rules"]
    run(*given, "unlock.reason=first")
    code, out, _ = run(*given, "unlock.reason=second")
    assert code == 0
    assert "taken from the store" in out
    looks = json.loads(run("looks", "--json")[1])
    assert [look["reason"] for look in looks] == ["first", "second"]


@pytest.mark.slow
def test_nothing_is_left_in_the_working_folder(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert run("run", "-m", "model=keyword_rules,majority")[0] == 0
    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_passwords_stay_out_of_the_record(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["run", f"dataset.path={table}", f"results_dir={tmp_path / 'r'}",
                 "model=keyword_rules", "tracking.uri=http://me:secret@127.0.0.1:1"])  # fmt: skip
    assert code == 9
    told = capsys.readouterr()
    text = "".join(path.read_text() for path in tmp_path.rglob("record.json"))
    assert text
    assert "secret" not in text + told.out + told.err
