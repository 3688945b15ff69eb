import pytest

from sitrepbench.data.problems import REMEDIES, SHOWN, TOLERABLE, Problem, ProblemReport, shown
from sitrepbench.errors import ConfigError, DataError


def test_the_first_twenty_are_listed_in_the_order_of_the_rows_and_the_rest_counted():
    report = ProblemReport("file.csv")
    for row in range(100, 0, -1):
        report.add("empty_text", "the text is empty", row=row, line=row + 1, column="text")
    report.add("byte_order_mark", "starts with a mark")
    with pytest.raises(DataError) as caught:
        report.raise_if_any()
    lines = str(caught.value).splitlines()
    assert lines[0] == "file.csv: 101 problems"
    assert lines[1] == "  starts with a mark"
    assert lines[2] == "  row 1 (line 2), text: the text is empty"
    assert lines[SHOWN] == "  row 19 (line 20), text: the text is empty"
    assert lines[SHOWN + 1] == "  and 81 more: 81 empty_text"
    assert lines[SHOWN + 2] == "What to do:"
    assert lines[SHOWN + 3] == f"  empty_text (100): {REMEDIES['empty_text']}"


def test_one_problem_is_one_problem():
    report = ProblemReport("file.csv")
    report.add("missing_file", "there is no such file")
    with pytest.raises(DataError, match=r"^file\.csv: 1 problem\n  there is no such file\nWhat"):
        report.raise_if_any()


def test_many_rows_cost_only_the_messages_that_are_shown():
    report = ProblemReport("file.csv")
    described = []

    def describe(index: int) -> Problem:
        described.append(index)
        return Problem("unknown_label", "unknown", row=index + 1)

    report.add_rows("unknown_label", range(1_000_000), describe)
    assert len(described) == SHOWN
    with pytest.raises(DataError, match="and 999,980 more: 999,980 unknown_label"):
        report.raise_if_any()


def test_what_is_tolerated_becomes_a_note_with_its_count():
    report = ProblemReport("file.csv", allow=["long_text"])
    for row in (9, 3):
        report.add("long_text", "2,001 characters", row=row)
    report.raise_if_any()
    assert report.notes == (
        "2 text(s) are longer than a sentence (tolerated as long_text; "
        "first: row 3: 2,001 characters)",
    )


def test_tolerating_one_code_does_not_tolerate_another():
    report = ProblemReport("file.csv", allow=["long_text"])
    report.add("long_text", "2,001 characters", row=1)
    report.add("empty_text", "empty", row=2)
    with pytest.raises(DataError, match=r"^file\.csv: 1 problem\n  row 2: empty"):
        report.raise_if_any()


@pytest.mark.parametrize(
    ("allow", "message"),
    [
        (["long_txt"], "unknown problem code 'long_txt'. Did you mean 'long_text'?"),
        (["nul_byte"], "'nul_byte' cannot be tolerated"),
        ("long_text", r"expected a list of codes such as \[long_text\]"),
    ],
)
def test_only_named_and_tolerable_codes_can_be_allowed(allow, message):
    with pytest.raises(ConfigError, match=message):
        ProblemReport("file.csv", allow=allow)


def test_what_is_tolerable_is_a_problem():
    assert set(TOLERABLE) <= set(REMEDIES)


@pytest.mark.parametrize(
    "value",
    ["\udce9" * 500, [[[[["x" * 999]]]]], 1 << 60_000],
    ids=["surrogates", "nested", "huge"],
)
def test_shown_values_are_short_and_printable(value):
    text = shown(value)
    assert len(text) < 200
    text.encode("utf-8")
