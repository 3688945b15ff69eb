import pytest

from sitrepbench.data.duplicates import document_groups
from sitrepbench.data.table import load_table

WHY = "real news sentences that are not part of the project"


def test_the_real_sentences_load_as_they_are(repository, require_path):
    path = require_path(repository.parent / "shared" / "real-text" / "sentences.csv", WHY)
    dataset = load_table(path)
    assert len(dataset.frame) == 381
    assert dataset.frame["label"].value_counts().to_dict() == {
        "background": 172,
        "casualty_report": 86,
        "negotiation": 59,
        "denial": 36,
        "evacuation": 28,
    }
    assert dataset.notes == ()
    assert dataset.frame["domain"].ne("").all()
    assert {"outlet", "text_form"} <= set(dataset.frame.columns)
    assert len(set(document_groups(dataset.frame))) <= dataset.n_documents


def test_tweets_without_quoting_load_with_labels_of_their_own(repository, require_path):
    folder = repository.parent / "shared" / "external" / "humaid" / "canada_wildfires_2016"
    path = require_path(folder / "canada_wildfires_2016_dev.tsv", "HumAID is not ours to ship")
    labels = sorted({line.rsplit("\t", 1)[1] for line in path.read_text().splitlines()[1:]})
    columns = {"document_id": "tweet_id", "sentence_id": "tweet_id"}
    columns |= {"text": "tweet_text", "label": "class_label"}
    dataset = load_table(path, columns=columns, labels=labels, quoting="none")
    assert len(dataset.frame) == 228


def test_what_is_absent_is_skipped_unless_everything_is_required(
    monkeypatch, tmp_path, require_path
):
    monkeypatch.delenv("SITREPBENCH_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="absent: not shipped"):
        require_path(tmp_path / "nothing", "not shipped")
    monkeypatch.setenv("SITREPBENCH_REQUIRE", "all")
    with pytest.raises(pytest.fail.Exception, match="absent: not shipped"):
        require_path(tmp_path / "nothing", "not shipped")
    assert require_path(tmp_path, "there") == tmp_path
