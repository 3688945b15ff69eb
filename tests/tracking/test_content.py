from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sitrepbench.commands import repeat_command
from sitrepbench.metrics.summary import Summary, summarise
from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.artifacts import report_page, write_artifacts
from sitrepbench.tracking.columns import shown_run, varied_params
from sitrepbench.tracking.content import (
    MAX_PARAM_LENGTH,
    development_part,
    run_description,
    run_metrics,
    run_params,
    run_tags,
    run_times,
    setup_name,
)

MakeRecord = Callable[..., RunRecord]


def summaries(record: RunRecord) -> dict[str, Summary]:
    predictions = record.predictions()
    return {part: summarise(predictions, part) for part in predictions.parts}


def test_params_are_flat_short_and_without_what_is_empty(make_record: MakeRecord) -> None:
    params = run_params(make_record())
    assert params["model"] == "linear_svm"
    assert params["model.C"] == "0.3"
    assert params["model.target"] == "sklearn.svm.LinearSVC"
    assert params["features.ngram_range"] == "[1, 2]"
    assert params["seed"] == "0"
    heads = {name.split(".")[0] for name in params}
    assert heads == {"dataset", "protocol", "features", "model", "seed"}
    assert not any("_about_" in name or "columns" in name for name in params)


def test_features_that_a_model_does_not_read_are_not_claimed(make_record: MakeRecord) -> None:
    record = make_record(model="keyword_rules", key_parts={"config": {"features": None}})
    assert run_params(record)["features"] == "none"
    assert "features.min_df" not in run_params(record)
    assert run_tags(record)["features"] == "none"
    assert "features, scored" not in run_description(record, summaries(record))
    assert varied_params([shown_run(record), shown_run(make_record(key="1" * 16))]) == []


def test_secrets_and_long_values_are_not_shown(make_record: MakeRecord) -> None:
    record = make_record(
        model_config={
            "api_key": "hunter2",
            "url": "https://me:hunter2@host/x",
            "stop_words": ["word"] * 500,
            "steps": [{"name": "a"}, {"name": "b"}],
        }
    )
    params = run_params(record)
    assert params["model.api_key"] == "***"
    assert params["model.url"] == "https://***@host/x"
    assert len(params["model.stop_words"]) == MAX_PARAM_LENGTH
    assert params["model.stop_words"].endswith("(cut, 4000 characters; config.yaml has it all)")
    assert (params["model.steps.0.name"], params["model.steps.1.name"]) == ("a", "b")
    assert "hunter2" not in str(params)


def test_metrics_of_test_parts_bear_their_prefix(make_record: MakeRecord) -> None:
    record = make_record(parts=("dev", "test"))
    found = summaries(record)
    metrics = run_metrics(record, found)
    assert list(metrics)[:3] == ["macro_f1", "macro_f1_low", "macro_f1_high"]
    assert metrics["macro_f1"] == pytest.approx(found["dev"].metrics["macro_f1"], abs=1e-4)
    assert metrics["test/macro_f1"] == pytest.approx(found["test"].metrics["macro_f1"], abs=1e-4)
    assert metrics["f1/denial"] != metrics["test/f1/denial"]
    assert metrics["fit_seconds"] == 10.0
    assert "log_loss" not in metrics, "made without probabilities"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["cv"], "cv"),
        (["test", "dev"], "dev"),
        (["test", "all"], "all"),
        (["test", "test_ood"], None),
        ([], None),
    ],
)
def test_development_part(parts: list[str], expected: str | None) -> None:
    assert development_part(dict.fromkeys(parts)) == expected


def test_tags_say_what_and_whence(make_record: MakeRecord) -> None:
    tags = run_tags(make_record(looks=[{"split": "test", "reason": "r", "time": "t", "by": "b"}]))
    assert tags["kind"] == "run"
    assert tags["state"] == "done"
    assert tags["dataset"] == "sentences"
    assert tags["dataset_digest"] == "ab" * 32
    assert tags["content_key"] == "00c0ffee00c0ffee"
    assert tags["dirty"] == "no"
    assert tags["looks"] == "1"
    assert tags["setup"] == setup_name(make_record(key="1" * 16))


def test_setup_is_shared_by_seeds_alone(make_record: MakeRecord) -> None:
    first = setup_name(make_record(key="1" * 16, seed=0))
    assert setup_name(make_record(key="2" * 16, seed=1)) == first
    assert setup_name(make_record(key="3" * 16, model_config={"C": 3.0})) != first


def test_times_are_those_of_the_run_itself(make_record: MakeRecord) -> None:
    start, end = run_times(make_record())
    assert end == 1795348800000, "2026-11-22 12:00 UTC"
    assert end - start == 12_500


def test_description_tells_the_whole_story(make_record: MakeRecord) -> None:
    record = make_record(
        parts=("dev", "test"),
        looks=[{"split": "test", "reason": "final\nnumbers", "time": "2026", "by": "me"}],
        notes=["one sentence was dropped"],
    )
    text = run_description(record, summaries(record))
    assert text.startswith("**Macro-F1 0.")
    assert "**linear_svm** on **word_char** features, scored by **grouped_cv**" in text
    assert "(200 sentences of 20 documents)" in text
    assert "| test | **0." in text
    assert "- **Look at test**: final numbers (me, 2026)" in text
    assert "- one sentence was dropped" in text
    assert repeat_command(record.overrides) in text


def test_command_can_be_pasted_into_a_shell(make_record: MakeRecord) -> None:
    assert repeat_command(make_record().overrides) == (
        "sitrepbench run dataset=table 'dataset.path=my sentences.csv' model=linear_svm"
    )


def test_only_what_varies_within_a_choice_is_a_varied_param(make_record: MakeRecord) -> None:
    records = [
        make_record(key="1" * 16, model_config={"C": 0.1, "tol": 1}),
        make_record(key="2" * 16, model_config={"C": 1.0, "tol": 1}, seed=1),
        make_record(key="3" * 16, model="complement_nb", model_config={"alpha": 0.3}),
        make_record(key="4" * 16, features="char"),
    ]
    runs = [shown_run(record) for record in records]
    # C varies among the linear_svm runs, alpha does not among those of complement_nb.
    assert varied_params(runs[:3]) == ["model.C", "seed"]
    assert varied_params(runs[:1]) == []
    assert "features.target" not in varied_params(runs)


def test_page_shows_scores_and_confusion_and_escapes(make_record: MakeRecord) -> None:
    record = make_record(run_name="<svm>")
    page = report_page(record, summaries(record))
    assert "&lt;svm&gt;" in page
    assert "<svm>" not in page
    assert page.count("<td>casualty_report</td>") == 2
    assert "predicted label in the columns" in page


def test_names_that_mlflow_refuses_are_replaced(make_record: MakeRecord) -> None:
    record = make_record(model_config={"kernel@home": "rbf"})
    assert run_params(record)["model.kernel_home"] == "rbf"


def test_tables_are_what_pandas_writes(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(parts=("dev", "test"))
    found = summaries(record)
    folder = tmp_path / "artifacts"
    folder.mkdir()
    write_artifacts(record, found, folder)
    for part, summary in found.items():
        matrix = summary.confusion.rename_axis(index="gold \\ predicted").reset_index()
        for name, table in (
            ("per_label", summary.per_label),
            ("per_fold", summary.per_fold),
            ("per_domain", summary.per_domain),
            ("confusion", matrix),
        ):
            expected = table.round(4).to_csv(index=False, lineterminator="\n")
            assert (folder / "tables" / f"{part}_{name}.csv").read_text() == expected
    assert yaml.safe_load((folder / "config.yaml").read_text()) == record.config


def test_artifacts_can_be_written_again_and_leave_the_record_alone(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    record = make_record()
    before = (record.folder / "predictions.parquet").read_bytes()
    folder = tmp_path / "artifacts"
    folder.mkdir()
    (folder / "predictions.parquet").write_bytes(b"half")
    for _ in range(2):
        write_artifacts(record, summaries(record), folder)
    assert (folder / "predictions.parquet").read_bytes() == before
    shutil.rmtree(folder)
    assert (record.folder / "predictions.parquet").read_bytes() == before


def test_predictions_are_copied_where_they_cannot_be_linked(
    make_record: MakeRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    record = make_record()
    write_artifacts(record, summaries(record), tmp_path)
    copied = tmp_path / "predictions.parquet"
    assert copied.read_bytes() == (record.folder / "predictions.parquet").read_bytes()
