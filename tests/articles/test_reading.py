"""Article files: what they are called, in which encoding, and every problem at once."""

import importlib.util
import os
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitrepbench.articles.reading import (
    ARTICLE_REMEDIES,
    ArticleFile,
    article_files,
    check_encoding,
    read_article,
)
from sitrepbench.data.problems import ProblemReport
from sitrepbench.errors import ConfigError, DataError

TEXT = "Osk burns\n\nThe café closed. They left.\n"
SENTENCES = ["Osk burns", "The café closed.", "They left."]


@pytest.fixture
def report():
    return ProblemReport("articles", remedies=ARTICLE_REMEDIES)


def read(path, report, **arguments):
    found = read_article(ArticleFile(path, "d"), report, **arguments)
    return [item.text for item in found]


def make(folder, *names, text="They met."):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def ids(paths, report):
    return [file.document_id for file in article_files(paths, report)]


def test_documents_are_called_by_their_paths_in_the_folder(tmp_path, report):
    make(tmp_path, "b/x.txt", "a.txt", "b/a.htm", ".hidden/z.txt", "b/.z.txt", "b/picture.jpg")
    assert ids([tmp_path], report) == ["a", "b/a", "b/x"]
    assert ids([tmp_path / "b" / "x.txt"], report) == ["x"]
    report.raise_if_any()


def test_documents_of_one_name_are_told_apart(tmp_path, report):
    make(tmp_path, "one/a.txt", "one/a.html", "two/a.txt", "two/b.v2.txt")
    assert ids([tmp_path / "one"], report) == ["a.html", "a.txt"]
    both = ids([tmp_path / "one", tmp_path / "two"], report)
    assert len(set(both)) == 4
    assert both[0] == "a.html"
    assert both[-1] == "b.v2"


def test_a_file_that_is_named_twice_is_read_once(tmp_path, report):
    make(tmp_path, "a.txt", "b.txt")
    assert ids([tmp_path / "b.txt", tmp_path, tmp_path / "a.txt"], report) == ["b", "a"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-8"])
def test_byte_order_marks_tell_the_encoding(tmp_path, report, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode(encoding))
    assert read(path, report) == SENTENCES
    report.raise_if_any()


def test_other_encodings_are_named(tmp_path, report):
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode("cp1252"))
    assert read(path, report, encoding="cp1252") == SENTENCES
    assert read(path, report) == []
    with pytest.raises(DataError, match=r"a\.txt: is not utf-8: byte 0xE9 in line 3[^$]*cp1252"):
        report.raise_if_any()


@pytest.mark.parametrize("encoding", ["utf-9", "base64", "", "a\0"])
def test_encodings_that_are_none(encoding):
    with pytest.raises(ConfigError, match="--encoding: unknown encoding"):
        check_encoding(encoding)


def test_a_page_tells_its_encoding(tmp_path, report, require):
    require(importlib.util.find_spec("lxml_html_clean") is not None, "pages need the extra html")
    path = tmp_path / "a.html"
    words = "The café in Osk closed on Monday, said its owner, who left with his family. " * 5
    page = f'<html><head><meta charset="iso-8859-1"></head><body><article><p>{words}</p></article>'
    path.write_bytes(page.encode("cp1252"))
    assert read(path, report)[0].startswith("The café in Osk")
    path.write_text("<html><body></body></html>")
    assert read(path, report) == []
    with pytest.raises(DataError, match="no article was found on the page"):
        report.raise_if_any()


def test_every_problem_of_a_folder_is_told_at_once(tmp_path, report):
    make(tmp_path, "good.txt")
    (tmp_path / "empty.txt").write_bytes(b" \n")
    (tmp_path / "binary.txt").write_bytes(b"\x7fELF\x00\xff")
    (tmp_path / "control.txt").write_bytes(b"a\x01b")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "really.txt").write_bytes(b"%PDF-1.7 ...")
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.7 ...")
    (tmp_path / "notes.docx").write_bytes(b"PK\x03\x04")
    (tmp_path / "box.txt").write_text("Latest News\n")
    (tmp_path / "none").mkdir()
    files = article_files([tmp_path, tmp_path / "none", tmp_path / "lost.txt"], report)
    for file in files:
        read_article(file, report)
    with pytest.raises(DataError) as caught:
        report.raise_if_any()
    message = str(caught.value)
    assert "articles: 10 problems" in message
    for expected in (
        "empty.txt: the file is empty",
        "binary.txt: is binary: it holds NULs",
        "control.txt: is binary, or not utf-8: it holds U+0001",
        "latin.txt: is not utf-8: byte 0xE9 in line 1",
        "really.txt: is a PDF",
        "paper.pdf: is a PDF",
        "notes.docx: is a zip archive or an office document",
        "box.txt: has no text in it",
        "none: there is no article in this folder",
        "lost.txt: there is no such file or folder",
    ):
        assert expected in message
    assert "good" not in message


def test_a_pipe_is_not_waited_for(tmp_path, report):
    if not hasattr(os, "mkfifo"):
        pytest.skip("named pipes are of POSIX")
    os.mkfifo(tmp_path / "a.txt")
    # Held open, so that waiting for it would end: as an empty file.
    held = os.open(tmp_path / "a.txt", os.O_RDWR | os.O_NONBLOCK)
    try:
        assert read(tmp_path / "a.txt", report) == []
    finally:
        os.close(held)
    with pytest.raises(DataError, match="is a pipe or a device, expected a file"):
        report.raise_if_any()


def test_a_named_file_of_another_kind(tmp_path, report):
    path = tmp_path / "a.csv"
    path.write_text("a,b")
    assert article_files([path], report) == []
    with pytest.raises(DataError, match=re.escape("expected a name that ends in one of .txt")):
        report.raise_if_any()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=60)
    | st.lists(
        st.sampled_from([b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"They met.\n", b"\xe9", b"%PDF-"])
    ).map(b"".join),
    encoding=st.sampled_from([None, "utf-8", "utf-16", "utf-7", "idna", "cp1252", "punycode"]),
)
def test_any_bytes_are_segments_or_a_problem(tmp_path, data, encoding):
    path = tmp_path / "any.txt"
    path.write_bytes(data)
    report = ProblemReport("articles", remedies=ARTICLE_REMEDIES)
    found = read(path, report, encoding=encoding)
    assert bool(found) != bool(report.problems)
