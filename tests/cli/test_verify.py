"""``verify``: a finished run computed anew, and what keeps it from being the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sitrepbench.cli import main
from sitrepbench.config import key
from sitrepbench.labels import LABELS
from sitrepbench.preparing import forget_data
from sitrepbench.store.looks import LookLedger
from sitrepbench.store.results import ResultsStore

STORE, TRACKING = 8, 9
Call = Callable[..., tuple[int, str, str]]


def write_table(file: Path, *, first: str = LABELS[0]) -> None:
    lines = ["doc_id,text,label,split"]
    for document in range(12):
        split = ("train", "train", "dev", "test")[document % 4]
        for at, label in enumerate(LABELS):
            shown = first if (document, at) == (0, 0) else label
            lines.append(
                f"d{document},{label} or {LABELS[at - 1]} number {document},{shown},{split}"
            )
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command line beside a store, as a fresh process would."""
    write_table(tmp_path / "mine.csv")

    def told(*arguments: str) -> tuple[int, str, str]:
        forget_data()
        given = list(arguments)
        if given[0] == "run":
            given += [f"dataset.path={tmp_path / 'mine.csv'}", "executor=serial", "features=word",
                      f"results_dir={tmp_path / 'results'}"]  # fmt: skip
            if not any(text.startswith("tracking") for text in given):
                given.append("tracking=none")
        else:
            given += ["--results-dir", str(tmp_path / "results")]
        code = main(given)
        said = capsys.readouterr()
        return code, said.out, said.err

    return told


def only_key(tmp_path: Path) -> str:
    (found,) = ResultsStore(tmp_path / "results").finished()
    return found


def test_a_sound_run_passes_and_the_store_stays_as_it_was(call: Call, tmp_path: Path) -> None:
    assert call("run", "model=complement_nb", "protocol.n_folds=2")[0] == 0
    name = only_key(tmp_path)
    path = tmp_path / "results" / "runs" / name / "record.json"
    before = path.stat().st_mtime_ns
    code, out, _ = call("verify", name[:6])
    assert code == 0
    assert "code, data and libraries are the same" in out
    assert "PASS: 1 of 1 runs" in out
    assert path.stat().st_mtime_ns == before
    assert only_key(tmp_path) == name


def test_changed_data_are_told_field_by_field(call: Call, tmp_path: Path) -> None:
    assert call("run", "model=complement_nb", "protocol.n_folds=2")[0] == 0
    write_table(tmp_path / "mine.csv", first="background")
    code, out, _ = call("verify", only_key(tmp_path))
    assert code == 1
    assert "but not as it was (recorded -> now):" in out
    assert "data: training:" in out
    assert "FAIL" in out


def test_changed_sources_are_told_by_their_file(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sitrepbench.models.keywords import KeywordRules

    assert call("run", "model=keyword_rules", "protocol.n_folds=2")[0] == 0
    told = {**key.source_digests(), "models/keywords.py": "0" * 16}
    monkeypatch.setattr(key, "source_digests", lambda: told)
    plain = KeywordRules.predict
    monkeypatch.setattr(KeywordRules, "predict", lambda self, X: plain(self, X)[::-1])
    code, out, _ = call("verify", only_key(tmp_path))
    assert code == 1
    assert out.count("source of the program: models/keywords.py: changed") == 2


def test_data_that_are_gone_are_a_failure_with_the_reason(call: Call, tmp_path: Path) -> None:
    assert call("run", "model=majority", "protocol.n_folds=2")[0] == 0
    (tmp_path / "mine.csv").unlink()
    code, out, _ = call("verify", only_key(tmp_path))
    assert code == 1
    assert "it cannot be rebuilt: DataError" in out
    assert "mine.csv" in out


def test_a_record_that_was_edited_fails(call: Call, tmp_path: Path) -> None:
    assert call("run", "model=complement_nb", "protocol.n_folds=2")[0] == 0
    name = only_key(tmp_path)
    path = tmp_path / "results" / "runs" / name / "record.json"
    content = json.loads(path.read_text())
    content["config"]["model"]["alpha"] = 30.0
    path.write_text(json.dumps(content))
    code, out, _ = call("verify", name)
    assert code == 1
    assert "setting: model.alpha: 0.3 -> 30.0" in out


def test_a_run_that_read_a_test_split_is_verified_with_its_reason(
    call: Call, tmp_path: Path
) -> None:
    assert call("run", "model=keyword_rules", "protocol=official", "protocol.score=[test]",
                "unlock.reason=the paper")[0] == 0  # fmt: skip
    ledger = LookLedger(tmp_path / "results")
    assert len(ledger.read()) == 1
    code, out, _ = call("verify", only_key(tmp_path))
    assert code == 0, out
    # The same person with the same reason takes no new look.
    assert len(ledger.read()) == 1


def test_the_search_is_repeated_and_compared(call: Call, tmp_path: Path) -> None:
    assert call("run", "model=complement_nb", "protocol=official", "tuner=grid",
                "tuner.grid={alpha: [0.1, 3.0]}", "tuner.n_folds=2")[0] == 0  # fmt: skip
    name = only_key(tmp_path)
    code, out, _ = call("verify", name)
    assert code == 0, out
    path = tmp_path / "results" / "runs" / name / "record.json"
    content = json.loads(path.read_text())
    content["tuning"]["chosen"][0]["settings"]["alpha"] = 77.0
    path.write_text(json.dumps(content))
    code, out, _ = call("verify", name)
    assert code == 1
    assert "chosen settings: expected all=alpha=77.0" in out
    assert "the search chose otherwise" in out


def test_as_json(call: Call, tmp_path: Path) -> None:
    assert call("run", "model=complement_nb", "protocol.n_folds=2")[0] == 0
    name = only_key(tmp_path)
    code, out, _ = call("verify", name, "--json")
    assert code == 0
    told = json.loads(out)
    assert told["key"] == name
    assert told["passed"]
    assert {"labels", "macro_f1"} <= {check["name"] for check in told["checks"]}


def test_a_model_of_a_session_that_is_over_is_a_failure(call: Call, tmp_path: Path) -> None:
    assert call("run", "model=complement_nb", "protocol.n_folds=2")[0] == 0
    name = only_key(tmp_path)
    path = tmp_path / "results" / "runs" / name / "record.json"
    content = json.loads(path.read_text())
    content["config"]["model"] = {"_target_": "__main__.MineThatIsGone"}
    path.write_text(json.dumps(content))
    code, out, _ = call("verify", name)
    assert code == 1
    assert "it cannot be rebuilt: __main__.MineThatIsGone" in " ".join(out.split())
    assert "Did you mean" not in out


def test_an_unknown_run_is_refused(call: Call, tmp_path: Path) -> None:
    assert call("verify", "nothing")[0] == STORE
    assert call("run", "model=majority", "protocol.n_folds=2")[0] == 0
    code, _, err = call("verify", "nothing")
    assert code == STORE
    assert "no run 'nothing'" in err


@pytest.mark.slow
def test_a_run_that_only_mlflow_has_is_verified(call: Call, tmp_path: Path) -> None:
    assert call("run", "model=complement_nb", "protocol.n_folds=2", "tracking=mlflow")[0] == 0
    name = only_key(tmp_path)
    database = tmp_path / "moved.db"
    (tmp_path / "results" / "mlflow.db").rename(database)
    store = ResultsStore(tmp_path / "results")
    assert store.remove(name)
    uri = f"sqlite:///{database}"
    code, out, err = call("verify", name[:8], "--tracking-uri", uri)
    assert code == 0, err
    assert "PASS: 1 of 1 runs" in out
    write_table(tmp_path / "mine.csv", first="background")
    code, out, _ = call("verify", name[:8], "--tracking-uri", uri)
    assert code == 1
    assert "data: scored:" in out
    code, _, err = call("verify", "nothing", "--tracking-uri", uri)
    assert code == TRACKING
    assert "no run 'nothing'" in err
    code, _, err = call("verify", "nothing", "--tracking-uri", f"sqlite:///{tmp_path}/no.db")
    assert code == TRACKING
    assert not (tmp_path / "no.db").exists()
