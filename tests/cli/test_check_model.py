"""``sitrepbench check-model``: what it finds, what it says, and its exit codes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sitrepbench import cli
from sitrepbench.cli.check_model import HOLDS, Checked, check_configured
from sitrepbench.cli.described import check_description, check_probabilities
from sitrepbench.models.contract import CHECKS
from sitrepbench.models.example import example_sentences
from sitrepbench.report.zoo import BEGIN, END, models_table, with_table
from sitrepbench.resources import resource_folder

IMPORTS = "import numpy as np\nfrom sklearn.base import BaseEstimator, ClassifierMixin\n\n"
Told = tuple[int, str, str]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Run the command and return exit code, output and errors."""

    def run(*arguments: str) -> Told:
        try:
            code = cli.main(["check-model", *arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def page(repository: Path) -> str:
    return (repository / "docs" / "models.md").read_text(encoding="utf-8")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Return a function that writes a module and a model's YAML, and gives the config folder."""
    made: list[str] = []
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(code: str, yaml: str) -> str:
        (tmp_path / "my" / "model").mkdir(parents=True, exist_ok=True)
        (tmp_path / "broken_models.py").write_text(code, encoding="utf-8")
        (tmp_path / "my" / "model" / "mine.yaml").write_text(yaml, encoding="utf-8")
        made.append("broken_models")
        return str(tmp_path / "my")

    yield write
    for name in made:
        sys.modules.pop(name, None)


def from_page(page: str, mark: str) -> str:
    """Return the indented block of a page that begins with a mark."""
    start = page.index(f"    {mark}\n")
    lines = []
    for line in page[start:].splitlines():
        if line and not line.startswith("    "):
            break
        lines.append(line[4:])
    text = "\n".join(lines)
    return re.split("\n# |\nsitrepbench ", text)[0] if mark.startswith("#") else text


@pytest.mark.slow
def test_a_sound_model_passes_every_check(call: Callable[..., Told]) -> None:
    code, out, err = call("complement_nb", "features=word")
    assert (code, err) == (0, "")
    assert out.startswith("complement_nb on word: sklearn.naive_bayes.ComplementNB\n")
    assert f"{len(HOLDS)} passed, 0 failed, 0 not tried, 0 notes." in out
    assert "FAIL" not in out
    assert max(map(len, out.splitlines())) <= 80
    for name in HOLDS:
        assert re.search(rf"^ok +{name} ", out, re.MULTILINE), name


def test_every_check_of_the_contract_is_told() -> None:
    assert {check.__name__.removeprefix("_check_") for check in CHECKS} <= set(HOLDS)


@pytest.mark.slow
def test_the_page_shows_what_the_command_prints(
    call: Callable[..., Told], own: Callable[[str, str], str], page: str
) -> None:
    code = IMPORTS + from_page(page, "# broken_models.py")
    folder = own(code, from_page(page, "# my/model/peeks.yaml"))
    (Path(folder) / "model" / "mine.yaml").rename(Path(folder) / "model" / "peeks.yaml")
    shown = from_page(page, "sitrepbench check-model peeks --config-dir my").split("\n", 2)[2]
    exit_code, out, _ = call("peeks", "--config-dir", folder)
    assert exit_code == 1

    def without_time(text: str) -> list[str]:
        return " ".join(text.split()).split(" A fit on ")[:1]

    assert without_time(out) == without_time(shown)


def test_a_failure_is_told_with_its_place_and_what_was_not_tried(
    call: Callable[..., Told], own: Callable[[str, str], str]
) -> None:
    code = (
        "class Mine(ClassifierMixin, BaseEstimator):\n"
        "    reads_frame = True\n"
        "    def fit(self, X, y):\n"
        "        return X['words']\n"
        "    def predict(self, X):\n"
        "        return X['text']\n"
    )
    folder = own(IMPORTS + code, "_target_: broken_models.Mine\n")
    exit_code, out, _ = call("mine", "-cd", folder, "--json")
    told = json.loads(out)
    assert (exit_code, told["passed"]) == (1, False)
    error, note = told["findings"]
    assert (error["check"], error["severity"]) == ("fits", "error")
    assert error["found"] == "fit fails: KeyError: 'words' (broken_models.py, line 7, in fit)"
    assert (note["check"], note["severity"]) == ("description", "note")
    assert told["checks"]["clones"] == "passed"
    assert told["checks"]["fits"] == "failed"
    for name in ("answers", "no_peeking", "probabilities", "space"):
        assert told["checks"][name] == "not tried"


def test_a_model_that_does_not_clone_is_told_by_its_name(
    call: Callable[..., Told], own: Callable[[str, str], str]
) -> None:
    code = (
        "class Mine(ClassifierMixin, BaseEstimator):\n"
        "    reads_frame = True\n"
        "    def __init__(self, words='a b'):\n"
        "        self.words = words.split()\n"
        "    def fit(self, X, y):\n"
        "        return self\n"
        "    def predict(self, X):\n"
        "        return X['text']\n"
    )
    folder = own(IMPORTS + code, "_target_: broken_models.Mine\n")
    exit_code, out, _ = call("mine", "-cd", folder)
    assert exit_code == 1
    assert "Mine: sklearn.base.clone fails" in " ".join(out.split())
    assert "-     parameters           not tried" in out
    assert "1 passed" not in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["linear_svm", "model.C=-1"], 7, "cannot be built: model: The 'C' parameter"),
        (["linear_svm", "features=none"], 7, "LinearSVC needs features"),
        (["model=null_model"], 3, "no such choice"),
        (["linear_sv"], 3, "Did you mean 'linear_svm'?"),
        (["linear_svm", "complement_nb"], 3, "check-model takes one model"),
        (["model=linear_svm,complement_nb"], 3, "check-model takes one model"),
        (["linear_svm", "-x"], 2, "unrecognized arguments: -x"),
    ],
)
def test_what_cannot_be_tried_is_told(
    call: Callable[..., Told], words: list[str], code: int, said: str
) -> None:
    exit_code, out, err = call(*words)
    assert exit_code == code
    assert said in err
    assert out == ""


def test_a_module_that_does_not_compile_is_told(
    call: Callable[..., Told], own: Callable[[str, str], str]
) -> None:
    folder = own("def f(:\n", "_target_: broken_models.Mine\n")
    exit_code, _, err = call("mine", "-cd", folder)
    assert exit_code == 3
    assert "cannot be imported: SyntaxError: invalid syntax (broken_models.py, line 1)" in err


def test_a_file_that_is_no_yaml_is_told(
    call: Callable[..., Told], own: Callable[[str, str], str]
) -> None:
    folder = own("", "_target_: [sklearn\nC 1\n")
    exit_code, _, err = call("mine", "-cd", folder)
    assert exit_code == 3
    assert re.search(r"mine\.yaml\", line \d", err)
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_dataset_of_ones_own_is_tried_without_its_test_split(tmp_path: Path) -> None:
    frame, labels = example_sentences(12)
    frame["label"] = labels
    held_out = frame["document_id"].isin(["example-0", "example-1"])
    frame["split"] = held_out.map({True: "test", False: "train"})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    words = ["complement_nb", "features=word", "dataset=table"]
    checked = check_configured([*words, f"dataset.path={tmp_path / 'mine.csv'}"])
    assert checked.tried_on.startswith("Tried on 60 sentences (10 documents) of table")
    assert not checked.broken


@pytest.mark.slow
def test_long_documents_are_tried_six_at_a_time(tmp_path: Path) -> None:
    frame, labels = example_sentences(10, 130)
    frame.assign(label=labels).to_csv(tmp_path / "long.csv", index=False)
    words = [
        "complement_nb",
        "features=word",
        "dataset=table",
        "dataset.allow=[conflicting_labels]",
    ]
    checked = check_configured([*words, f"dataset.path={tmp_path / 'long.csv'}"])
    assert checked.tried_on.startswith("Tried on 780 sentences (6 documents) of table")


@pytest.mark.slow
def test_what_a_model_prints_is_no_part_of_the_answer(
    call: Callable[..., Told], own: Callable[[str, str], str]
) -> None:
    code = (
        "class Mine(ClassifierMixin, BaseEstimator):\n"
        "    reads_frame = True\n"
        "    def fit(self, X, y):\n"
        "        print('epoch 1')\n"
        "        self.label_ = y[0]\n"
        "        return self\n"
        "    def predict(self, X):\n"
        "        return np.full(len(X), self.label_, dtype=object)\n"
    )
    folder = own(IMPORTS + code, "_target_: broken_models.Mine\n")
    exit_code, out, err = call("mine", "-cd", folder, "--json")
    assert exit_code == 0
    assert json.loads(out)["checks"]["processes"] == "passed"
    assert "epoch 1" in err


def test_a_model_that_ends_the_program_fails(
    call: Callable[..., Told], own: Callable[[str, str], str]
) -> None:
    code = (
        "class Mine(ClassifierMixin, BaseEstimator):\n"
        "    reads_frame = True\n"
        "    def fit(self, X, y):\n"
        "        raise SystemExit(0)\n"
        "    def predict(self, X):\n"
        "        return X['text']\n"
    )
    exit_code, out, _ = call("mine", "-cd", own(IMPORTS + code, "_target_: broken_models.Mine\n"))
    assert exit_code == 1
    assert "fit fails: SystemExit: 0" in out


@pytest.mark.slow
def test_the_ends_of_a_space_are_fitted(
    call: Callable[..., Told], own: Callable[[str, str], str]
) -> None:
    code = (
        "class Mine(ClassifierMixin, BaseEstimator):\n"
        "    reads_frame = True\n"
        "    def __init__(self, k=5):\n"
        "        self.k = k\n"
        "    def fit(self, X, y):\n"
        "        if self.k > 100:\n"
        "            raise ValueError('too many neighbours')\n"
        "        self.label_ = y[0]\n"
        "        return self\n"
        "    def predict(self, X):\n"
        "        return np.full(len(X), self.label_, dtype=object)\n"
    )
    yaml = (
        "_target_: broken_models.Mine\nk: 5\n_about_:\n  source: x\n  space: {k: {int: [1, 900]}}\n"
        "  grid: {k: [5, 800]}\n"
    )
    exit_code, out, _ = call("mine", "-cd", own(IMPORTS + code, yaml), "--json")
    told = json.loads(out)
    assert exit_code == 1
    found = {
        item["check"]: item["found"] for item in told["findings"] if item["severity"] == "error"
    }
    assert set(found) == {"space", "grid"}
    assert found["space"].startswith("with k=900 it does not fit: ValueError: too many neighbours")
    assert found["grid"].startswith("with k=800 it does not fit")


@pytest.mark.slow
def test_words_may_stand_behind_options(call: Callable[..., Told]) -> None:
    code, out, _ = call("complement_nb", "--json", "features=word", "model.alpha=0.5")
    assert code == 0
    assert json.loads(out)["model"].startswith("complement_nb on word:")
    parsed = cli._parse(["reproduce", "baselines", "--retune", "executor=serial", "--json"])
    assert (parsed.study, parsed.overrides) == ("baselines", ["executor=serial"])
    assert (parsed.retune, parsed.update, parsed.json) == (True, False, True)
    assert (parsed.results_dir, parsed.config_dir) == ("results", None)
    verified = cli._parse(["verify", "3f2a", "--tracking-uri", "http://127.0.0.1:5000"])
    assert (verified.run, verified.tracking_uri) == ("3f2a", "http://127.0.0.1:5000")


def about(**changes: Any) -> dict[str, Any]:
    told = {
        "short": "svm",
        "source": "a paper",
        "cost": "cheap",
        "probabilities": False,
        "space": {"C": {"log": [0.1, 10.0]}},
        "grid": {"C": [0.1, 1.0]},
        **changes,
    }
    return {"_target_": "sklearn.svm.LinearSVC", "C": 1.0, "_about_": told}


def test_a_true_description_gives_no_findings() -> None:
    assert check_description(about()) == []
    assert check_probabilities(about(), False) == []
    assert check_probabilities({"_target_": "x.Y"}, True) == []


@pytest.mark.parametrize(
    ("changes", "check", "severity", "found"),
    [
        ({"cost": "cheep"}, "description", "error", "_about_.cost is 'cheep'"),
        ({"short": "a_long_name"}, "description", "error", "_about_.short is 'a_long_name'"),
        ({"short": 7}, "description", "error", "_about_.short is 7"),
        ({"sorce": "x"}, "description", "error", "_about_.sorce is unknown. Did you mean 'source'"),
        ({"source": ""}, "description", "note", "_about_ does not tell source"),
        ({"probabilities": "no"}, "description", "error", "_about_.probabilities is 'no'"),
        ({"space": {"c": {"log": [1, 2]}}}, "space", "error", "space.c: the model has no such"),
        ({"space": {"C": {"log": [0, 2]}}}, "space", "error", "expected numbers over 0"),
        ({"space": {"C": {"uniform": [-1.0, 2.0]}}}, "space", "error", "with C=-1.0 it cannot be"),
        ({"space": {"C": {"log": [2.0, 5.0]}}}, "space", "note", "C=1.0 lies outside"),
        ({"space": ["C"]}, "space", "error", "_about_.space is ['C']"),
        ({"grid": {"inner.C": [1]}}, "grid", "error", "grid.inner.C: the model has no such"),
        ({"grid": {"C": [1.0, "big"]}}, "grid", "error", "with C=big it cannot be built"),
    ],
)
def test_what_is_wrong_with_a_description_is_found(
    changes: dict[str, Any], check: str, severity: str, found: str
) -> None:
    (finding, *_) = check_description(about(**changes))
    assert (finding.check, finding.severity) == (check, severity)
    assert found in finding.found
    assert finding.expected
    assert finding.advice.endswith(".")


def test_probabilities_are_held_against_the_fitted_model() -> None:
    (finding,) = check_probabilities(about(), True)
    assert finding.found == "_about_.probabilities is false, but the fitted model has predict_proba"


def test_an_outcome_is_told_by_the_worst_finding() -> None:
    (error,) = check_probabilities(about(), True)
    checked = Checked("m", "", (error,), ("space",), "")
    assert checked.broken
    outcomes = {name: checked.outcome(name) for name in ("probabilities", "space", "fits")}
    assert outcomes == {"probabilities": "failed", "space": "not tried", "fits": "passed"}


def test_the_page_lists_the_models_as_they_are(page: str) -> None:
    table = models_table(resource_folder("conf") / "model")
    assert with_table(page, table) == page, "run: python -m sitrepbench.report.zoo"
    assert page.index(BEGIN) < page.index("| `nbsvm` |") < page.index(END)


@pytest.mark.slow
def test_the_pages_own_model_passes(call: Callable[..., Told], tmp_path: Path, page: str) -> None:
    (tmp_path / "model").mkdir()
    text = from_page(page, "# my/model/perceptron.yaml")
    (tmp_path / "model" / "perceptron.yaml").write_text(text, encoding="utf-8")
    code, out, _ = call("perceptron", "features=word", "-cd", str(tmp_path))
    assert code == 0
    assert f"{len(HOLDS)} passed" in out
