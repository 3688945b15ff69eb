"""Article files: which there are, what they are called, and their text."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sitrepbench.articles.html import html_blocks, require_trafilatura
from sitrepbench.articles.layout import FURNITURE, blocks
from sitrepbench.articles.segments import Segment, segments_of
from sitrepbench.data.problems import REMEDIES, ProblemReport, shown
from sitrepbench.data.rows import ENCODINGS
from sitrepbench.errors import ConfigError, did_you_mean

TEXT_SUFFIXES = (".txt",)
HTML_SUFFIXES = (".html", ".htm")
SUFFIXES = (*TEXT_SUFFIXES, *HTML_SUFFIXES)
#: Files in a folder that hold articles which are not read: they are told, not passed over.
_DOCUMENTS = (".pdf", ".doc", ".docx", ".odt", ".rtf", ".epub", ".mht", ".mhtml", ".xhtml")

#: What to do about each problem of an article.
ARTICLE_REMEDIES = {
    **REMEDIES,
    "empty_file": "take the file out, or fetch it again",
    "no_article": "give .txt, .html or .htm files, or folders of them",
    "no_text": "take the file out, or save its text as .txt",
    "not_text": "save the article as plain text (.txt) or as a web page (.html)",
    "invalid_encoding": "save the files as UTF-8, or name the encoding that they have, such as "
    "--encoding cp1252",
}

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    # Longest first: the mark of UTF-32 LE starts with that of UTF-16 LE.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_KNOWN_BYTES = (
    (b"%PDF-", "a PDF: take its text out first, as with pdftotext"),
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"{\\rtf", "a document in RTF"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"\x1f\x8b", "compressed with gzip"),
)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
#: Control characters that no text holds; the other C0 ones end lines or pages.
_CONTROL = re.compile("[\0-\x08\x0e-\x1b\x7f]")


@dataclass(frozen=True)
class ArticleFile:
    """A file that holds an article.

    Parameters
    ----------
    path : Path
        Where it lies.
    document_id : str
        What its document is called: its path in the folder that was given, or its name, without
        the suffix.
    """

    path: Path
    document_id: str


def article_files(paths: Iterable[str | Path], report: ProblemReport) -> list[ArticleFile]:
    """Return the article files that paths and folders name, in order, each once.

    Files in a folder are sorted by their path in it. Hidden ones and those that hold no article
    (pictures, scripts) are passed over; articles in another form (PDF and the like) are reported.

    Parameters
    ----------
    paths : iterable of str or Path
        Files and folders.
    report : ProblemReport
        Takes paths that lead to no article.
    """
    named: dict[Path, tuple[Path, str]] = {}
    for given in paths:
        try:
            path = Path(given).expanduser()
        except RuntimeError as error:
            report.add("missing_file", str(error), column=_shown(given))
            continue
        for found, name in _found(path, report):
            named.setdefault(Path(os.path.realpath(found)), (found, name))
    bare = Counter(_without_suffix(name) for _, name in named.values())
    whole = Counter(name for _, name in named.values())
    files = []
    for path, name in named.values():
        chosen = _without_suffix(name) if bare[_without_suffix(name)] == 1 else name
        # Two folders may hold files of one name.
        unique = chosen if chosen != name or whole[name] == 1 else path.as_posix()
        files.append(ArticleFile(path, os.fsencode(unique).decode("utf-8", "backslashreplace")))
    return files


def read_article(
    file: ArticleFile, report: ProblemReport, *, encoding: str | None = None
) -> list[Segment]:
    """Return the segments of an article, none where something is wrong with its file.

    Parameters
    ----------
    file : ArticleFile
        As `article_files` returns it.
    report : ProblemReport
        Takes what is wrong.
    encoding : str, optional
        A Python codec. By default what a byte-order mark or a web page says, else UTF-8.

    Raises
    ------
    ConfigError
        When the encoding is not known, or a web page cannot be read for want of the extra.
    """
    where = _shown(file.path)
    is_html = file.path.suffix.casefold() in HTML_SUFFIXES
    if is_html:
        require_trafilatura()
    text = _text(file.path, where, report, encoding=encoding, declared=is_html)
    if text is None:
        return []
    segments = segments_of(html_blocks(text) if is_html else blocks(text))
    if not any(segment.kind != FURNITURE for segment in segments):
        what = "no article was found on the page" if is_html else "has no text in it"
        report.add("no_text", what, column=where)
        return []
    return segments


def check_encoding(encoding: str | None) -> None:
    """Refuse an encoding that Python does not know or that gives no text.

    Raises
    ------
    ConfigError
        With the usual ones.
    """
    if encoding is None:
        return
    if _codec(encoding) is None:
        raise ConfigError(
            f"--encoding: unknown encoding {shown(encoding)}.{did_you_mean(encoding, ENCODINGS)} "
            f"Usual ones: {', '.join(ENCODINGS)}"
        )


def _found(path: Path, report: ProblemReport) -> Iterator[tuple[Path, str]]:
    """Yield the files that one path names, with their names."""
    try:
        is_folder = path.is_dir()
        exists = path.exists()
    except (OSError, ValueError) as error:
        report.add("unreadable_file", f"cannot be read: {error}", column=_shown(path))
        return
    if not exists:
        report.add("missing_file", "there is no such file or folder", column=_shown(path))
    elif is_folder:
        yield from _in_folder(path, report)
    elif path.suffix.casefold() in SUFFIXES:
        yield path, path.name
    else:
        message = f"expected a name that ends in one of {', '.join(SUFFIXES)}"
        report.add("not_text", f"{_told(path) or message}", column=_shown(path))


def _in_folder(folder: Path, report: ProblemReport) -> Iterator[tuple[Path, str]]:
    found: list[tuple[str, Path]] = []
    other = False

    def refused(error: OSError) -> None:
        report.add("unreadable_file", f"cannot be read: {error}", column=_shown(folder))

    for top, inner, names in os.walk(folder, onerror=refused):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in names:
            path = Path(top, name)
            suffix = path.suffix.casefold()
            if name.startswith("."):
                continue
            if suffix in SUFFIXES:
                found.append((path.relative_to(folder).as_posix(), path))
            elif suffix in _DOCUMENTS:
                other = True
                message = _told(path) or f"is {suffix}, expected .txt, .html or .htm"
                report.add("not_text", message, column=_shown(path))
    if not found and not other:
        report.add("no_article", "there is no article in this folder", column=_shown(folder))
    for name, path in sorted(found):
        yield path, name


def _text(
    path: Path, where: str, report: ProblemReport, *, encoding: str | None, declared: bool
) -> str | None:
    """Return a file's text, or None with the reason in the report."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # A pipe that nobody writes to would be waited for without end.
            report.add("unreadable_file", "is a pipe or a device, expected a file", column=where)
            return None
        data = path.read_bytes()
    except OSError as error:
        report.add("unreadable_file", f"cannot be read: {error.strerror}", column=where)
        return None
    if not data.strip():
        report.add("empty_file", "the file is empty", column=where)
        return None
    known = _known(data)
    if known:
        report.add("not_text", f"is {known}", column=where)
        return None
    mark, codec = next(((m, c) for m, c in _MARKS if data.startswith(m)), (b"", encoding))
    if codec is None:
        codec = (_declared(data) if declared else None) or "utf-8"
    try:
        text = data[len(mark) :].decode(codec)
    except UnicodeError as error:
        if b"\0" in data:
            report.add("not_text", "is binary: it holds NULs", column=where)
        else:
            message = f"is not {codec}: {_reason(data, error)}"
            report.add("invalid_encoding", message, column=where)
        return None
    match = _CONTROL.search(text) or re.search("[\ud800-\udfff]", text)
    if match:
        what = f"U+{ord(match.group()):04X} at character {match.start() + 1}"
        report.add("not_text", f"is binary, or not {codec}: it holds {what}", column=where)
        return None
    return text


def _declared(data: bytes) -> str | None:
    """Return the encoding that a web page names, where Python knows it."""
    match = _CHARSET.search(data[:4096])
    if match is None:
        return None
    canonical = _codec(match.group(1).decode("ascii"))
    if canonical is None or canonical.startswith(("utf-16", "utf-32")):
        # These it is not: it was read as ASCII to get here.
        return None
    # What a page calls Latin-1 is read as browsers do.
    return "cp1252" if canonical in ("iso8859-1", "ascii") else canonical


def _codec(name: str) -> str | None:
    """Return the name under which Python knows an encoding of text, or None."""
    try:
        canonical = codecs.lookup(name).name
        # Codecs such as base64 are known but do not give text; they say so on use.
        with contextlib.suppress(UnicodeError):
            b"0000".decode(canonical)
    except (LookupError, ValueError):
        return None
    return canonical


def _reason(data: bytes, error: UnicodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        line = data.count(b"\n", 0, error.start) + 1
        return f"byte 0x{data[error.start]:02X} in line {line}"
    return str(error)


def _known(data: bytes) -> str | None:
    return next((what for start, what in _KNOWN_BYTES if data.startswith(start)), None)


def _told(path: Path) -> str | None:
    """Return what a file of another kind is, by its first bytes."""
    try:
        with path.open("rb") as stream:
            known = _known(stream.read(8))
    except OSError:
        return None
    return f"is {known}" if known else None


def _without_suffix(name: str) -> str:
    return name[: name.rindex(".")]


def _shown(path: str | Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace").replace("\0", "\\0")
