"""Sentences of one paragraph: sentencex, with small rules for what news has and it lacks.

`sentencex <https://pypi.org/project/sentencex/>`_ (MIT) does the cutting. The rules below are what
the hand-checked boundaries showed to be missing; docs/articles.md compares with and without them.
"""

from __future__ import annotations

import itertools
import re

import sentencex

LANGUAGE = "en"

#: Written before a name, and unknown to sentencex.
_BEFORE_NAMES = (
    "Amb|Adm|Bros|Cpl|Det|Flt|Fr|Ft|Hon|Insp|Lcpl|Messrs|Mlle|Mme|Mohd|Msgr|Msgt|Muh|Pfc|Pvt|"
    "Spc|Ssgt|Sta|Ste|Supt"
)
#: Written before a number.
_BEFORE_NUMBERS = "App|Approx|Art|Ca|Ch|Fig|Figs|No|Nos|P|Para|Pp|Sec|Vol|Vols"
_DAYS = "Mon|Tues?|Weds?|Thurs?|Thu|Fri|Sat|Sun"
_MONTHS = (
    "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    "Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?"
)
_WEEKDAYS = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_ZONES = "GMT|UTC|[ECMP][SD]?T|BST|CET"

#: The end of the text before a cut, the beginning of the text behind it: no cut between the two.
_TOGETHER = tuple(
    (re.compile(rf"(?:{before})\Z"), re.compile(rf"(?:{behind})"))
    for before, behind in (
        (rf"\b(?:{_BEFORE_NAMES})\.", r"[A-Z]"),
        (rf"\b(?i:{_BEFORE_NUMBERS})\.", r"[0-9]"),
        (rf"\b(?:{_DAYS})\.,?", rf"[0-9]|(?:{_MONTHS})\b"),
        (r"\b[ap]\.m\.", rf"\(?(?:{_WEEKDAYS}|{_ZONES}|(?:{_DAYS}|{_MONTHS})(?:\.| [0-9]))\b"),
    )
)
#: A full stop before a small letter ends no sentence, but for names such as "al-Nasr" and "eVent".
_STOP = re.compile(r"[.…][\"”’»)\]]*\Z")
_SMALL = re.compile(r"[a-z]+(?![\w-]*[A-Z])")

#: Words that begin a sentence and no name.
_OPENERS = (
    "A|After|All|Although|And|At|Before|Both|But|By|During|Each|Few|He|Her|His|How|However|If|"
    "Its?|Many|Meanwhile|Most|Neither|Nobody|None|Nothing|Only|Others|Our|She|Since|Some|Such|"
    "That|The|Their|Then|There|These|They|Those|Though|We|What|When|Where|While|Who|Why|You"
)
#: The end of group 1 ends a sentence that sentencex goes on with.
_APART = tuple(
    re.compile(pattern)
    for pattern in (
        # "... by the U.S. The rebels ...", "... only as T. Their ..."
        rf"(\b(?:[A-Z]\.)+)(?= (?:{_OPENERS})[ ,’'])",
        # "(It was late.) The driver ..."
        r"([.!?…][\"”’»]?\))(?= [\"“‘«]?[A-Z0-9])",
        # '"We waited …" The boy ...'
        r"((?:…|\.\.\.)[\"”’»])(?= [\"“‘«]?[A-Z0-9])",
        # "The answer was no. Talks ..."
        r"(\bno\.)(?= [A-Z])",
    )
)
#: What stands before a list item is no sentence.
_MARKER = re.compile(r"[•‣▪◦●■]|[*–—·-] |\(?(?:[0-9]{1,2}|[a-z])[.)] ")
_OPENING = re.compile("[“«([]")
_CLOSING = re.compile("[”»)\\]]")


def split_sentences(paragraph: str) -> list[str]:
    """Return the sentences of a paragraph, in order.

    A quotation or a parenthesis is not cut in two, and its closing mark stays with it.

    Parameters
    ----------
    paragraph : str
        Text of one paragraph. Runs of white space, line ends among them, become one space.

    Returns
    -------
    list of str
        Without the space around them; joined by spaces they are the paragraph.

    Examples
    --------
    >>> split_sentences("Lt. Gen. A. B. Smith denied it. The U.S. said so at 5 p.m. Monday.")
    ['Lt. Gen. A. B. Smith denied it.', 'The U.S. said so at 5 p.m. Monday.']
    """
    text = " ".join(paragraph.split())
    sentences: list[str] = []
    marker = _MARKER.match(text)
    begin = marker.end() if marker else 0
    start = 0
    for cut in (begin + cut for cut in _cuts(text[begin:])):
        sentences.append(text[start:cut].strip())
        start = cut
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _cuts(text: str) -> list[int]:
    """Return where sentences but the first begin, ascending."""
    cuts: list[int] = []
    end = 0
    for part in sentencex.segment(LANGUAGE, text):
        found = text.find(part, end)
        if found < 0:
            continue
        if found > 0 and not _belong_together(text, found):
            cuts.append(found)
        end = found + len(part)
    return sorted({*cuts, *_added(text, [0, *cuts, len(text)])})


def _belong_together(text: str, cut: int) -> bool:
    before, behind = text[max(0, cut - 40) : cut].rstrip(), text[cut : cut + 40].lstrip()
    if any(left.search(before) and right.match(behind) for left, right in _TOGETHER):
        return True
    # Who writes no capitals at all begins sentences with small letters as well.
    return bool(_STOP.search(before) and _SMALL.match(behind)) and text != text.lower()


def _added(text: str, edges: list[int]) -> list[int]:
    """Return the ends of sentences that sentencex did not see, outside of quotes and brackets."""
    added = []
    for start, end in itertools.pairwise(edges):
        piece = text[start:end]
        quotes = depth = seen = 0
        for found in sorted({match.end() for rule in _APART for match in rule.finditer(piece)}):
            between = piece[seen:found]
            quotes += between.count('"')
            depth += len(_OPENING.findall(between)) - len(_CLOSING.findall(between))
            seen = found
            if quotes % 2 == 0 and depth <= 0:
                added.append(start + found)
    return added
