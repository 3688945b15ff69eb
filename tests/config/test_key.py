"""The content key changes with what decides predictions, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from sitrepbench.config import key as key_module
from sitrepbench.config.compose import compose
from sitrepbench.config.key import DECIDING, LEFT_OUT
from sitrepbench.config.run_config import check_config
from sitrepbench.config.schema import RunSchema
from sitrepbench.preparing import PreparedRun, forget_data, prepare

ROWS = [
    (f"d{document}", f"sentence {document} {position} {label}", label)
    for document in range(8)
    for position, label in enumerate(
        ["casualty_report", "denial", "negotiation", "evacuation", "background"]
    )
]


Key = Callable[..., str]
Prepared = Callable[..., PreparedRun]


@pytest.fixture
def key(prepared: Prepared) -> Key:
    return lambda *given, **named: prepared(*given, **named).key


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "table.csv"
    _write(file, ROWS)
    return file


def _write(file: Path, rows: list[tuple[str, str, str]]) -> None:
    lines = ["doc_id,text,label", *(",".join(row) for row in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    forget_data()


@pytest.mark.slow
def test_a_seed_that_nothing_draws_from_changes_no_key(key: Key, table: Path) -> None:
    given = ["model=logistic_regression"]
    assert key(table, *given, "seed=1") == key(table, *given, "seed=2")
    assert key(table, *given, "+model.solver=saga", "seed=1") != key(
        table, *given, "+model.solver=saga", "seed=2"
    )


def test_a_column_that_only_a_users_features_read_changes_the_key(key: Key, tmp_path: Path) -> None:
    keys = set()
    for outlet in ("radio", "paper"):
        file = tmp_path / f"{outlet}.csv"
        lines = ["doc_id,text,label,outlet", *(",".join((*row, outlet)) for row in ROWS)]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        keys.add(key(file))
    assert len(keys) == 2


SAME = [
    ["seed=1", "model=complement_nb"],
    ["tracking=none", "model=complement_nb"],
    ["results_dir=elsewhere", "model=complement_nb"],
    ["resume=never", "model=complement_nb"],
    ["study=mine", "model=complement_nb"],
    ["executor.blas_threads=2", "model=complement_nb"],
    ["unlock.reason=why", "model=complement_nb"],
    ["dataset.name=other", "model=complement_nb"],
    ["model=complement_nb", "+model._about_.note=hello"],
]


@pytest.mark.parametrize("overrides", SAME, ids=lambda given: given[0])
def test_what_decides_nothing_changes_no_key(key: Key, table: Path, overrides: list[str]) -> None:
    assert key(table, *overrides) == key(table, "model=complement_nb")


DIFFERENT = [
    ["model.C=0.4"],
    ["model=complement_nb"],
    ["features.min_df=1"],
    ["features=word"],
    ["protocol.n_folds=4"],
    ["protocol.n_repeats=2"],
    ["seed=1"],  # a linear SVM draws random numbers
    ["+model.max_iter=99"],
    ["calibrator=temperature"],
]


@pytest.mark.parametrize("overrides", DIFFERENT, ids=lambda given: given[0])
def test_what_decides_predictions_changes_the_key(
    key: Key, table: Path, overrides: list[str]
) -> None:
    assert key(table, *overrides) != key(table)


def test_every_top_level_key_is_counted_or_left_out_for_a_reason() -> None:
    assert {item.name for item in fields(RunSchema)} == {*DECIDING, *LEFT_OUT}
    assert not set(DECIDING) & set(LEFT_OUT)


@pytest.mark.slow
def test_a_calibrator_counts_only_where_one_is_chosen(
    key: Key, prepared: Prepared, table: Path
) -> None:
    plain = prepared(table).parts
    assert "calibrator" not in plain["config"]
    assert not [name for name in plain["sources"] if name.startswith("calibration/")]
    mended = prepared(table, "calibrator=platt").parts
    assert mended["config"]["calibrator"]["_target_"] == "sitrepbench.calibration.Platt"
    assert "calibration/calibrators.py" in mended["sources"]
    assert key(table, "calibrator=platt") != key(table, "calibrator=isotonic")
    assert key(table, "calibrator=platt") != key(table, "calibrator=platt", "calibrator.n_folds=3")


@pytest.mark.parametrize("features", ["word", "embeddings", "embeddings_tfidf"])
def test_features_do_not_count_where_they_do_not_apply(
    prepared: Prepared, table: Path, features: str
) -> None:
    # Nor do their libraries, which need not even be installed.
    chosen = prepared(table, "model=keyword_rules", f"features={features}").parts
    assert chosen == prepared(table, "model=keyword_rules").parts


def test_data_count_by_content_not_by_place(key: Key, table: Path, tmp_path: Path) -> None:
    before = key(table)
    moved = tmp_path / "elsewhere" / "other.csv"
    moved.parent.mkdir()
    moved.write_bytes(table.read_bytes())
    assert key(moved) == before
    _write(table, [(*ROWS[0][:2], "denial"), *ROWS[1:]])
    assert key(table) != before


def test_a_lexicon_counts_by_content_not_by_place(key: Key, table: Path, tmp_path: Path) -> None:
    from sitrepbench.models.keywords import LEXICON_FOLDER

    copy = tmp_path / "copy.yaml"
    copy.write_bytes((LEXICON_FOLDER / "english.yaml").read_bytes())
    before = key(table, "model=keyword_rules")
    assert key(table, "model=keyword_rules", f"model.lexicon={copy}") == before
    copy.write_text(copy.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    assert key(table, "model=keyword_rules", f"model.lexicon={copy}") != before


def test_files_that_a_part_of_somebody_elses_estimator_reads_count(
    key: Key, table: Path, tmp_path: Path
) -> None:
    from sitrepbench.features.cues import CUE_FOLDER

    words = tmp_path / "words.yaml"
    words.write_bytes((CUE_FOLDER / "english.yaml").read_bytes())
    node = (
        "_target_: sklearn.pipeline.Pipeline\n"
        "steps:\n"
        "- - cues\n"
        f"  - {{_target_: sitrepbench.features.HandMadeCues, lexicon: {words}}}\n"
        "- - scaled\n"
        "  - {_target_: sklearn.preprocessing.MaxAbsScaler}\n"
    )
    (tmp_path / "mine" / "features").mkdir(parents=True)
    (tmp_path / "mine" / "features" / "scaled.yaml").write_text(node, encoding="utf-8")
    mine = {"config_dirs": (tmp_path / "mine",)}
    before = key(table, "features=scaled", **mine)
    words.write_text(words.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    assert key(table, "features=scaled", **mine) != before


def test_the_programs_own_sources_and_versions_count(
    key: Key, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(table)
    monkeypatch.setattr(key_module, "source_digests", lambda: {"execution.py": "changed"})
    assert key(table) != before
    monkeypatch.undo()
    real = key_module._version
    monkeypatch.setattr(
        key_module, "_version", lambda name: "0.0.1" if name == "scikit-learn" else real(name)
    )
    assert key(table) != before


def test_keys_can_be_told_apart_file_by_file(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib
    import sys

    (tmp_path / "ownmodel.py").write_text(
        "from sklearn.naive_bayes import ComplementNB\nclass Own(ComplementNB):\n    pass\n",
        encoding="utf-8",
    )
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "own.yaml").write_text("_target_: ownmodel.Own\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    given = [f"dataset.path={table}", "protocol.n_folds=3", "model=own"]
    parts = prepare(check_config(compose(given, config_dirs=(tmp_path,)))).parts
    sys.modules.pop("ownmodel", None)
    package = Path(key_module.sitrepbench.__file__).parent
    for name in ("execution.py", "features/tfidf.py"):
        digest = hashlib.sha256((package / name).read_bytes()).hexdigest()
        assert parts["sources"][name] == digest[: key_module.DIGEST_LENGTH]
    own = hashlib.sha256((tmp_path / "ownmodel.py").read_bytes()).hexdigest()
    assert parts["own_code"] == {"ownmodel.Own": {"ownmodel.py": own[: key_module.DIGEST_LENGTH]}}
    assert set(parts["versions"]) == {"numpy", "scikit-learn", "scipy"}


def test_the_libraries_come_from_the_distributions_that_are_named() -> None:
    installed = key_module._distributions()
    for package, distribution in key_module._OWNERS.items():
        assert installed[package] == [distribution]


def test_the_deciding_sources_exist_and_hold_what_fits_and_predicts() -> None:
    package = Path(key_module.sitrepbench.__file__).parent
    for name in (*key_module.DECIDING_SOURCES, *key_module.SCORE_SOURCES):
        assert (package / name).exists(), name
    # What only checks a model is there, and nothing that decides imports it.
    for name in key_module.CHECKING_SOURCES:
        assert (package / name).exists(), name
        module = "sitrepbench." + name.removesuffix(".py").replace("/", ".")
        for file in key_module.source_digests():
            assert module not in (package / file).read_text(encoding="utf-8"), file


def test_a_users_own_module_counts_by_its_source(
    key: Key, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    module = tmp_path / "mymodels.py"
    text = "from sklearn.naive_bayes import ComplementNB\nclass Mine(ComplementNB):\n    pass\n"
    module.write_text(text, encoding="utf-8")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: mymodels.Mine\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    before = key(table, "model=mine", config_dirs=(tmp_path,))
    module.write_text(text + "# one line more\n", encoding="utf-8")
    changed = key(table, "model=mine", config_dirs=(tmp_path,))
    assert changed != before
    # So does a module beside it, which it may import.
    (tmp_path / "helper.py").write_text("X = 1\n", encoding="utf-8")
    assert key(table, "model=mine", config_dirs=(tmp_path,)) != changed
    sys.modules.pop("mymodels", None)
