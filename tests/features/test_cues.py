"""Hand-made cues: counted right, scaled on training data, from a list that counts by content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from sitrepbench.errors import ConfigError
from sitrepbench.features import HandMadeCues, word_char_cues, word_char_tfidf
from sitrepbench.features.cues import CUE_FOLDER, PLAIN_CUES, load_cues
from sitrepbench.models.example import example_sentences

FRAME = pd.DataFrame(
    {
        "document_id": ["a", "a", "b"],
        "position": [3, 7, 1],
        "text": [
            '"We will not leave," said Amal Darwish, according to two witnesses.',
            "At least 1,200 people fled, 30 of them children",
            "Did they?",
        ],
    }
)


def test_counts_of_a_sentence() -> None:
    found = HandMadeCues().count(FRAME["text"][0], place=0)
    assert found["attribution"] == 3  # said, according to, witnesses
    assert found["negation"] == 1
    assert found["number_words"] == 1
    assert found["first_person"] == 1
    assert found["quotes"] == 2
    assert found["in_quotes"] == pytest.approx(len("We will not leave,") / len(FRAME["text"][0]))
    assert found["numbers"] == 0
    assert (found["opening"], found["place"], found["no_full_stop"]) == (1, 0, 0)
    assert found["length"] == 11
    assert found["capitals"] == pytest.approx(2 / 11)  # the first word does not count


def test_counts_of_numbers() -> None:
    found = HandMadeCues().count(FRAME["text"][1], place=1)
    assert found["numbers"] == 2
    assert found["largest_number"] == pytest.approx(np.log10(1201))
    assert found["bounds"] == 1
    assert (found["opening"], found["no_full_stop"]) == (0, 1)
    assert HandMadeCues().count("Did they?", place=0)["question"] == 1
    assert set(HandMadeCues().count("", place=0)) == {*PLAIN_CUES, *load_cues("english").groups}


def test_scaled_by_the_largest_of_the_training_data() -> None:
    cues = HandMadeCues()
    found = cues.fit_transform(FRAME)
    assert sparse.issparse(found)
    names = list(cues.get_feature_names_out())
    assert found.shape == (3, len(names))
    values = found.toarray()
    assert values.min() == 0
    assert set(values.max(axis=0)) <= {0.0, 1.0}
    numbers = values[:, names.index("numbers")]
    np.testing.assert_allclose(numbers, [0, 1, 0])
    place = values[:, names.index("place")]
    np.testing.assert_allclose(place, [0, 1, 0])  # by rank: the third line is no third sentence
    np.testing.assert_allclose(values[:, names.index("opening")], [1, 0, 1])
    np.testing.assert_allclose(cues.transform(FRAME).toarray(), values)
    longer = FRAME.assign(text=[text * 3 for text in FRAME["text"]])
    assert cues.transform(longer).toarray().max() > 1
    half = clone(cues).set_params(weight=0.5).fit_transform(FRAME).toarray()
    np.testing.assert_allclose(half, values / 2)


def test_what_is_said_of_a_document_does_not_depend_on_others() -> None:
    frame, _ = example_sentences(10)
    cues = HandMadeCues().fit(frame[:30])
    whole = cues.transform(frame).toarray()
    for document, rows in frame.groupby("document_id").indices.items():
        alone = cues.transform(frame[frame["document_id"] == document]).toarray()
        np.testing.assert_array_equal(alone, whole[rows])


@pytest.mark.parametrize("file", sorted(CUE_FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_list_loads(file: Path) -> None:
    cues = load_cues(file.stem)
    assert cues.name == file.stem
    assert cues.version
    assert {"attribution", "negation"} <= set(cues.groups)


def test_a_list_of_ones_own_counts_by_content(tmp_path: Path) -> None:
    text = "name: mine\nversion: '1'\ngroups: {animals: ['cats?', 'dogs?']}\n"
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(text)
    two.write_text(text)
    first, second = HandMadeCues(str(one)), HandMadeCues(str(two))
    unions = [word_char_cues(lexicon=str(file)) for file in (one, two)]
    assert first.content_digest() == second.content_digest()
    assert unions[0].content_digest() == unions[1].content_digest()
    assert first.count("Cats and a dog chase catfish.", place=0)["animals"] == 2
    two.write_text(text.replace("dogs?", "cows?"))
    assert first.content_digest() != second.content_digest()
    assert unions[0].content_digest() != unions[1].content_digest()


def test_all_mistakes_of_a_list_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("name: bad\ngroup: {}\ngroups: {a: ['(open'], b: word, c: []}\n")
    with pytest.raises(ConfigError) as caught:
        load_cues(str(file))
    for piece in (
        "'group'. Did you mean 'groups'",
        "missing field 'version'",
        "groups.a: '(open' is not a pattern",
        "groups.b: expected a list of patterns, found 'word'",
        "groups.c: expected a list of patterns, found []",
    ):
        assert piece in str(caught.value)
    file.write_text("groups: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_cues(str(file))
    with pytest.raises(ConfigError, match="no list of cues 'englich'.*Did you mean 'english'"):
        load_cues("englich")


def test_cues_stand_beside_the_words() -> None:
    frame, _ = example_sentences(10)
    both = word_char_cues(min_df=1, weight=0.5).fit_transform(frame).toarray()
    words = word_char_tfidf(min_df=1).fit_transform(frame).toarray()
    cues = HandMadeCues(weight=0.5).fit_transform(frame).toarray()
    np.testing.assert_allclose(both, np.hstack([words, cues]))
