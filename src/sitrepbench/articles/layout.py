"""The layout of a plain text: which lines are one paragraph, a headline, a caption, a list item.

A blank line ends a block. Within a block, lines are joined where the text looks wrapped: where a
line is so full that the next word had no room. Else each line is a paragraph of its own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HEADLINE = "headline"
PARAGRAPH = "paragraph"
CAPTION = "caption"
LIST = "list"
FURNITURE = "furniture"

#: Lines longer than this were not wrapped for reading.
MAX_WIDTH = 120
#: A wrapped line is at least this full.
_FULL = 0.85
#: A line of more characters without a full stop is a sentence that lacks it, no headline.
_HEADLINE_LENGTH = 200

_BULLET = re.compile(r"\s*[•‣▪◦●■]")
#: A list item only among others, or after a colon: a wrapped line may begin like this too.
_WEAK_BULLET = re.compile(r"\s*(?:[-*–—·]|\(?(?:[0-9]{1,2}|[a-z])[.)])\s+\S")
#: "Image" alone is how sites print the words for a picture; the others begin sentences as well.
_CAPTION = re.compile(
    r"Image\s+[A-Z]|(?:Image|Photo|Photograph|Picture|Caption|Video|File photo|File picture|"
    r"Image source|Photo credit|Map|Graphic):|[(\[](?:Photo|Image|Picture|Credit)\b|©"
)
_FULL_STOP = re.compile(r"[.!?…:;,][\"'”’»)\]]*\Z")
_FURNITURE = re.compile(
    r"(?:latest|breaking|top|more|related|recommended|trending) "
    r"(?:news|stories|articles|headlines|topics|videos|coverage|on this story)"
    r"|related|recommended|trending(?: now)?|most (?:read|popular|viewed|shared)|(?:see|read) also"
    r"|you may (?:also )?like|up next|read more|continue reading|story continues below"
    r"|(?:article|story) continues (?:after|below)(?: the)? advert(?:isement)?|advertisement"
    r"|share(?: this(?: (?:article|story|page))?)?|share on (?:facebook|twitter|x|whatsapp)"
    r"|print(?: this (?:article|page))?|subscribe(?: now)?|sign up|log in|newsletter|"
    r"follow us|(?:leave a |post a )?comments?|back to top|skip to (?:main )?content|"
    r"all rights reserved",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Block:
    """Text that belongs together, with what it is.

    Parameters
    ----------
    text : str
        On one line.
    kind : str
        `HEADLINE`, `PARAGRAPH`, `CAPTION`, `LIST` or `FURNITURE`.
    """

    text: str
    kind: str


def blocks(text: str) -> list[Block]:
    """Return the blocks of a plain text in order; every character but white space is in one."""
    groups = list(_groups(text.removeprefix("\ufeff").splitlines()))
    width = _width(groups)
    units = [unit for group in groups for unit in _units(group, width)]
    texts = {unit for unit, _ in units}
    found: list[Block] = []
    for unit, listed in units:
        kind = LIST if listed else _kind(unit, f"Image {unit}" in texts)
        found.append(Block(unit, kind))
    return found


def is_furniture(line: str) -> bool:
    """Return whether a line is what a site prints around its articles.

    >>> is_furniture("Latest News"), is_furniture("Latest news from the front is bad.")
    (True, False)
    """
    return bool(_FURNITURE.fullmatch(line.strip().rstrip(":.…»>").strip()))


def _groups(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the lines between blank ones."""
    group: list[str] = []
    for line in lines:
        if line.strip():
            group.append(line.rstrip())
        elif group:
            yield group
            group = []
    if group:
        yield group


def _width(groups: Iterable[list[str]]) -> int:
    """Return to how many characters lines were wrapped; 0 where nothing shows that they were."""
    widest, wrapped = 0, False
    for group in groups:
        for line, after in itertools.pairwise(group):
            widest = max(widest, len(line), len(after))
            wrapped = wrapped or _breaks_off(line, after)
    return widest if wrapped and widest <= MAX_WIDTH else 0


def _breaks_off(line: str, after: str) -> bool:
    """Return whether a sentence goes on in the next line beyond doubt."""
    return not _FULL_STOP.search(line) and after.lstrip()[:1].islower()


def _units(group: list[str], width: int) -> Iterator[tuple[str, bool]]:
    """Yield the paragraphs and items of a group of lines, and whether each is an item."""
    unit, listed = "", False
    for number, line in enumerate(group):
        item = _begins_item(line, group[number - 1] if number else "", listed, first=number == 0)
        if not unit:
            unit, listed = line.strip(), item
        elif not item and _goes_on(group[number - 1], line, width):
            # A word may be broken or a compound cut at its hyphen; which, nobody can tell.
            hyphen = unit.endswith("-") and unit[-2:-1].isalpha()
            unit += ("" if hyphen else " ") + line.strip()
        else:
            yield unit, listed
            unit, listed = line.strip(), item
    if unit:
        yield unit, listed


def _begins_item(line: str, before: str, listed: bool, *, first: bool) -> bool:
    if _BULLET.match(line):
        return True
    return bool(_WEAK_BULLET.match(line)) and (first or listed or before.endswith(":"))


def _goes_on(line: str, after: str, width: int) -> bool:
    """Return whether the paragraph of one line goes on in the next."""
    if _breaks_off(line, after):
        return True
    if not width or (_FULL_STOP.search(line) and (is_furniture(after) or _CAPTION.match(after))):
        return False
    word = after.split(maxsplit=1)[0]
    return len(line) + 1 + len(word) > width or len(line) >= _FULL * width


def _kind(unit: str, captioned: bool) -> str:
    if is_furniture(unit):
        return FURNITURE
    if captioned or _CAPTION.match(unit):
        return CAPTION
    if len(unit) <= _HEADLINE_LENGTH and not _FULL_STOP.search(unit):
        return HEADLINE
    return PARAGRAPH
