"""The segments of an article: its sentences, in the order of print, with what they stand in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sitrepbench.articles.layout import CAPTION, FURNITURE, HEADLINE, LIST, PARAGRAPH, Block, blocks
from sitrepbench.articles.splitting import split_sentences
from sitrepbench.errors import DataError

#: What a segment can stand in.
KINDS = (HEADLINE, PARAGRAPH, CAPTION, LIST, FURNITURE)

#: Nothing to see: characters without width.
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff]+")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Segment:
    """One sentence of an article, as printed.

    Parameters
    ----------
    position : int
        Its place in the article, from 0.
    text : str
        Without line ends and without the space around it.
    kind : {"headline", "paragraph", "caption", "list", "furniture"}
        What it stands in; in plain text this is guessed from the layout. ``furniture`` is what
        a site prints around an article, such as "Latest News".
    """

    position: int
    text: str
    kind: str


def segment(text: str) -> list[Segment]:
    r"""Cut the text of an article into its sentences; no character but white space is lost.

    Headlines, captions and list items are sentences of their own, whether or not a full stop
    ends them. Lines that were wrapped are joined.

    Parameters
    ----------
    text : str
        With any line ends.

    Raises
    ------
    DataError
        When it holds what no text does: NULs, or halves of surrogate pairs.

    Examples
    --------
    >>> for found in segment("Three hurt in Osk\n\nA shell fell. Dr. Amon saw it."):
    ...     print(found.position, found.kind, found.text)
    0 headline Three hurt in Osk
    1 paragraph A shell fell.
    2 paragraph Dr. Amon saw it.
    """
    match = _NO_TEXT.search(text)
    if match:
        raise DataError(
            f"the article holds U+{ord(match.group()):04X} at character {match.start() + 1}, which "
            "no text does: read the file in the encoding that it has"
        )
    return segments_of(blocks(text))


def segments_of(found: Iterable[Block]) -> list[Segment]:
    """Return the segments of blocks of text, numbered from 0."""
    segments: list[Segment] = []
    for block in found:
        for sentence in split_sentences(block.text):
            if _INVISIBLE.sub("", sentence).strip():
                segments.append(Segment(len(segments), sentence, block.kind))
    return segments
