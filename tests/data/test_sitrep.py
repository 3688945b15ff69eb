"""The corpus as released: its promises, held by its own files and commands."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from sitrepbench.cli import main
from sitrepbench.data.agreement import measure_agreement
from sitrepbench.data.audit import audit_dataset
from sitrepbench.data.corpus import Corpus, corpus_problems, load_corpus
from sitrepbench.data.duplicates import document_groups
from sitrepbench.data.shipped import shipped_card
from sitrepbench.data.statistics import describe_dataset
from sitrepbench.labels import LABELS


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(shipped_card("sitrep"))


@pytest.fixture(scope="module")
def folder() -> Path:
    return shipped_card("sitrep").parent


def test_it_is_sound(corpus: Corpus) -> None:
    assert corpus_problems(corpus) == []


def test_it_is_as_large_and_as_mixed_as_promised(corpus: Corpus) -> None:
    frame = corpus.dataset.frame
    assert corpus.documents is not None
    assert len(corpus.documents) >= 320
    assert len(frame) >= 4000
    assert corpus.documents["conflict"].nunique() == 12
    assert corpus.documents["register"].nunique() >= 10
    sizes = frame["document_id"].value_counts()
    assert sizes.min() >= 6
    assert sizes.max() <= 30
    shares = frame["label"].value_counts(normalize=True)
    assert 0.38 <= shares["background"] <= 0.52
    assert (shares >= 0.08).all()


def test_its_splits_are_large_enough_and_apart(corpus: Corpus) -> None:
    frame = corpus.dataset.frame
    documents = frame.groupby("split")["document_id"].nunique()
    assert documents["dev"] >= 48
    assert documents["test"] >= 80
    assert documents["test_ood"] >= 48
    outside = set(frame.loc[frame["split"] == "test_ood", "domain"])
    assert len(outside) == 2
    assert not outside & set(frame.loc[frame["split"] != "test_ood", "domain"])
    groups = pd.Series(document_groups(frame))
    assert (frame["split"].groupby(groups).nunique() == 1).all()
    for split in ("train", "dev", "test", "test_ood"):
        assert set(frame.loc[frame["split"] == split, "label"]) == set(LABELS)


@pytest.mark.slow
def test_nothing_is_alike_but_what_the_clusters_hold(corpus: Corpus) -> None:
    audit = audit_dataset(corpus.dataset, threshold=0.6)
    assert audit.unclustered.empty, audit.unclustered[["first", "second"]].to_string()
    assert audit.across_splits.empty


def test_openings_and_lengths_vary(corpus: Corpus) -> None:
    assert describe_dataset(corpus.dataset).distinct_openings > 0.9


@pytest.mark.slow
def test_every_sentence_was_labelled_twice_and_agreement_is_computed(corpus: Corpus) -> None:
    assert corpus.annotations is not None
    agreement = measure_agreement(corpus.annotations, corpus.dataset.labels)
    assert agreement.n_sentences == len(corpus.dataset.frame)
    assert 0 < len(agreement.disagreements) < len(corpus.dataset.frame) / 3
    settled = corpus.annotations[corpus.annotations["annotator"] == "adjudicator"]
    assert set(settled["sentence_id"]) >= set(agreement.disagreements["sentence_id"])
    assert (settled["reason"].str.len() > 10).all()


@pytest.mark.slow
def test_every_world_can_be_swapped_by_a_program(corpus: Corpus, folder: Path) -> None:
    files = sorted((folder / "worlds").glob("*.yaml"))
    assert len(files) == 12
    for file in files:
        world = yaml.safe_load(file.read_text(encoding="utf-8"))
        texts = " ".join(
            corpus.dataset.frame.loc[corpus.dataset.frame["domain"] == world["conflict"], "text"]
        )
        assert 20 <= len(world["timeline"]) <= 40
        named = 0
        for entity in world["entities"]:
            assert entity["type"] in {"place", "party", "person", "organisation", "outlet"}
            assert entity["role"]
            named += any(str(n) in texts for n in [entity["name"], *(entity.get("aliases") or [])])
        assert named / len(world["entities"]) > 0.6


def test_checksums_cover_every_file(corpus: Corpus, folder: Path) -> None:
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    listed = dict(reversed(line.split("  ", 1)) for line in lines)
    present = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert set(listed) == present
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    # Every table that a program reads is in the card, and so verified before it is parsed.
    assert {file.path for file in corpus.card.files} >= {
        "sentences.csv",
        "documents.csv",
        "annotations.csv",
    }


@pytest.mark.slow
def test_the_commands_work_on_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["data", "validate", "sitrep"]) == 0
    assert "sound" in capsys.readouterr().out
    figure = tmp_path / "sitrep.png"
    assert main(["data", "stats", "sitrep", "--json", "--figure", str(figure)]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["machine_agreement"]["alpha"] > 0.5
    assert figure.stat().st_size > 10_000
    assert main(["data", "stats", "sitrep"]) == 0
    out = capsys.readouterr().out
    assert "Machine agreement before adjudication" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_titles_and_outlets_are_plain(corpus: Corpus) -> None:
    assert corpus.documents is not None
    assert not corpus.documents["outlet"].str.contains("\"|'@").any()
    assert not corpus.documents["title"].str.contains("\\\\", regex=False).any()
    first = corpus.dataset.frame.groupby("document_id")["text"].first()
    titles = corpus.documents.set_index("document_id")["title"]
    assert (titles == first[titles.index]).mean() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", "nonsense", "unknown label 'nonsense'"),
        ("secondary", "garbage", "unknown secondary label(s) garbage"),
        ("needs_context", "perhaps", "not yes or no"),
    ],
)
def test_a_wrong_value_of_an_annotation_is_found(
    corpus: Corpus, column: str, value: str, message: str
) -> None:
    assert corpus.annotations is not None
    changed = corpus.annotations.copy()
    changed.loc[5, column] = value
    found = corpus_problems(Corpus(corpus.dataset, corpus.card, corpus.documents, changed))
    assert any(message in problem for problem in found)


@pytest.mark.slow
def test_a_wrong_split_in_the_list_of_documents_is_found(corpus: Corpus) -> None:
    assert corpus.documents is not None
    changed = corpus.documents.assign(split="train")
    found = corpus_problems(Corpus(corpus.dataset, corpus.card, changed, corpus.annotations))
    assert len(found) == (corpus.documents["split"] != "train").sum()


@pytest.mark.slow
def test_an_erratum_is_a_further_row_of_the_adjudicator(corpus: Corpus) -> None:
    assert corpus.annotations is not None
    settled = corpus.annotations[corpus.annotations["annotator"] == "adjudicator"]
    again = pd.concat([corpus.annotations, settled.tail(1)], ignore_index=True)
    assert corpus_problems(Corpus(corpus.dataset, corpus.card, corpus.documents, again)) == []


@pytest.mark.slow
def test_a_changed_label_or_annotation_is_found(corpus: Corpus) -> None:
    assert corpus.annotations is not None
    changed = corpus.annotations.copy()
    label = changed.loc[0, "label"]
    changed.loc[0, "label"] = "denial" if label != "denial" else "background"
    broken = Corpus(corpus.dataset, corpus.card, corpus.documents, changed)
    assert len(corpus_problems(broken)) == 1
    fewer = Corpus(corpus.dataset, corpus.card, corpus.documents, corpus.annotations.iloc[1:])
    assert "has 1 annotation(s), not two" in corpus_problems(fewer)[0]
