import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitrepbench.data.duplicates import MIN_TOKENS, document_groups, normalised_text

LONG = "Six people were killed in the shelling of the port."


def frame(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["document_id", "text", "cluster"])


def test_documents_that_share_a_cluster_are_linked_also_by_way_of_others():
    table = frame(
        ("a", "1", "x"), ("b", "2", "x"), ("b", "3", "y"), ("c", "4", "y"), ("d", "5", "")
    )
    assert document_groups(table).tolist() == [0, 0, 0, 0, 1]


def test_without_clusters_equal_texts_link_documents():
    other = "SIX people -- were killed\n in the shelling of the port"
    table = frame(("a", LONG, ""), ("b", "No.", ""), ("b", other, ""), ("c", "No.", ""))
    assert document_groups(table).tolist() == [0, 0, 0, 1]


def test_clusters_overrule_texts():
    assert document_groups(frame(("a", LONG, "x"), ("b", LONG, "y"))).tolist() == [0, 1]


@pytest.mark.parametrize(("tokens", "groups"), [(MIN_TOKENS - 1, 2), (MIN_TOKENS, 1)])
def test_short_texts_link_nothing(tokens, groups):
    text = " ".join(["word"] * tokens)
    assert len(set(document_groups(frame(("a", text, ""), ("b", text, ""))))) == groups


def test_a_document_is_whole_in_one_group():
    table = frame(("a", "x", "1"), ("b", "y", "2"), ("a", "z", "3"))
    assert document_groups(table).tolist() == [0, 1, 0]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 9)), min_size=1, max_size=40),
)
def test_groups_are_the_smallest_that_keep_documents_and_clusters_whole(pairs):
    rows = [(f"d{document}", "x", f"c{link}" if link >= 0 else "") for document, link in pairs]
    groups = document_groups(frame(*rows))
    parent = {name: name for row in rows for name in (row[0], row[2] or row[0])}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for document, _, cluster in rows:
        if cluster:
            parent[root(document)] = root(cluster)
    expected, _ = pd.factorize(np.array([root(row[0]) for row in rows], dtype=object))
    assert groups.tolist() == expected.tolist()


def test_normalised_text_levels_case_space_and_punctuation():
    assert normalised_text(' "ÉTÉ_x",\tyes!') == "été x yes"
    assert normalised_text("...") == ""
