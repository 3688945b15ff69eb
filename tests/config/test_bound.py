"""A calibrator in the configuration: refused where it cannot be, absent in old records."""

from __future__ import annotations

from pathlib import Path

import pytest

from sitrepbench.cli.verify import rebuilt
from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import RunConfig, check_config
from sitrepbench.errors import ConfigError
from sitrepbench.preparing import prepare

LABELS = ("casualty_report", "denial", "negotiation", "evacuation", "background")


def configured(folder: Path, *overrides: str) -> RunConfig:
    file = folder / "table.csv"
    rows = [
        f"d{document},said {document} {name},{name}" for document in range(6) for name in LABELS
    ]
    file.write_text("\n".join(["doc_id,text,label", *rows]) + "\n", encoding="utf-8")
    return check_config(compose([f"dataset.path={file}", *overrides]))


def test_a_protocol_that_trains_on_nothing_leaves_nothing_to_calibrate_on(tmp_path: Path) -> None:
    config = configured(tmp_path, "protocol=score", "model=keyword_rules", "calibrator=platt")
    with pytest.raises(ConfigError, match="nothing to calibrate on; use calibrator=none"):
        prepare(config)


def test_what_is_no_calibrator_is_refused(tmp_path: Path) -> None:
    config = configured(tmp_path, "calibrator._target_=sklearn.svm.LinearSVC")
    with pytest.raises(ConfigError, match="LinearSVC is no calibrator"):
        prepare(config)


def test_a_record_from_before_there_were_calibrators_is_the_same_run(tmp_path: Path) -> None:
    config = configured(tmp_path, "model=complement_nb")
    tree = {name: node for name, node in config.tree.items() if name != "calibrator"}
    names = {name: option for name, option in config.names.items() if name != "calibrator"}
    old = rebuilt(tree, names, ())
    assert old.names["calibrator"] == "none"
    assert prepare(old).key == prepare(config).key
