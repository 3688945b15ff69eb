"""The article on a web page, as blocks; trafilatura finds it among menus and advertisements."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

from sitrepbench.articles.layout import (
    CAPTION,
    FURNITURE,
    HEADLINE,
    LIST,
    PARAGRAPH,
    Block,
    is_furniture,
)
from sitrepbench.errors import ConfigError

INSTALL = "pip install 'sitrepbench[html]'"

#: Goes before a caption's text, so that it is known again behind trafilatura, which has no
#: captions. No text holds it: Unicode gives it no meaning.
_MARK = "\ue5c1"
#: The elements of trafilatura's tree that are blocks, with their kinds.
_KINDS = {
    "head": HEADLINE,
    "p": PARAGRAPH,
    "quote": PARAGRAPH,
    "item": LIST,
    "cell": LIST,
    "code": PARAGRAPH,
}


def require_trafilatura() -> None:
    """Refuse to go on without what reads web pages.

    Raises
    ------
    ConfigError
        With the command that installs it.
    """
    missing = [
        name for name in ("trafilatura", "lxml_html_clean") if not importlib.util.find_spec(name)
    ]
    if missing:
        raise ConfigError(f"web pages need {' and '.join(missing)}: {INSTALL}")


def html_blocks(page: str) -> list[Block]:
    """Return headline, paragraphs, captions and list items of the article on a page, in order.

    Parameters
    ----------
    page : str
        The page's HTML.

    Returns
    -------
    list of Block
        Empty where there is no article.

    Raises
    ------
    ConfigError
        Without the extra ``html``.
    """
    require_trafilatura()
    import trafilatura

    tree = trafilatura.load_html(_parseable(page))
    if tree is None:
        return []
    title = _title(tree)
    body = _body(tree)
    if body is None:
        return []
    if _is_run_together(body):
        # Of a short page trafilatura takes all text as one paragraph.
        marked = _body(_as_article(trafilatura.load_html(_parseable(page))), shortest=1)
        if marked is not None and _letters(marked) == _letters(body):
            body = marked
    found = [
        block for element in body for block in _blocks(element, PARAGRAPH) if block.text.strip()
    ]
    if found and title and all(title != block.text for block in found):
        found.insert(0, Block(title, HEADLINE))
    return found


def _body(tree: Any, *, shortest: int | None = None) -> Any:
    """Return the article that trafilatura finds, None where it finds none.

    Where it finds less than ``shortest`` characters, it takes all text instead.
    """
    import trafilatura
    from trafilatura.settings import use_config

    config = use_config()
    if shortest is not None:
        config.set("DEFAULT", "MIN_EXTRACTED_SIZE", str(shortest))
    _mark_captions(tree)
    document: Any = trafilatura.bare_extraction(
        tree, include_comments=False, include_tables=True, config=config
    )
    return None if document is None else document.body


def _is_run_together(body: Any) -> bool:
    """Return whether the article is one paragraph whose lines are the page's parts."""
    return len(body) == 1 and len(body[0]) == 0 and "\n" in (body[0].text or "").strip()


def _as_article(tree: Any) -> Any:
    """Return a page whose whole body is marked as its article."""
    for body in tree.iter("body"):
        article = tree.makeelement("article")
        article.extend(list(body))
        article.text, body.text = body.text, None
        body.append(article)
        break
    return tree


def _letters(body: Any) -> str:
    return "".join("".join(body.itertext()).split())


def _parseable(page: str) -> str:
    """Return the page without an encoding declaration, which lxml refuses in text."""
    start = page.lstrip("\ufeff \t\r\n")
    if start.startswith("<?xml"):
        return start.partition("?>")[2]
    return page


def _title(tree: Any) -> str:
    """Return the page's one main heading; where it has none or several, what it says it is."""
    headings = [" ".join(element.text_content().split()) for element in tree.iter("h1")]
    headings = [heading for heading in headings if heading]
    if len(headings) == 1:
        return headings[0]
    said = tree.xpath("//meta[@property='og:title']/@content")
    return " ".join(str(said[0]).split()) if said else ""


def _mark_captions(tree: Any) -> None:
    """Turn captions into marked paragraphs behind their figures, where trafilatura keeps them."""
    for caption in list(tree.iter("figcaption")):
        text = " ".join(caption.text_content().split())
        figure = next((parent for parent in caption.iterancestors("figure")), caption)
        if not text or figure.getparent() is None:
            continue
        paragraph = tree.makeelement("p")
        paragraph.text = f"{_MARK}{text}"
        # addnext moves the figure's tail behind the new paragraph, where it belongs.
        figure.addnext(paragraph)
        caption.getparent().remove(caption)


def _blocks(element: Any, kind: str) -> Iterator[Block]:
    """Yield the blocks of one element of trafilatura's tree, and of those in it, in order."""
    kind = _KINDS.get(element.tag, kind)
    parts: list[str] = [element.text or ""]
    for child in element:
        if child.tag in _KINDS or child.tag in ("list", "table", "row"):
            yield from _block("".join(parts), kind)
            parts = []
            yield from _blocks(child, kind)
        elif child.tag == "lb":
            yield from _block("".join(parts), kind)
            parts = []
        else:
            parts.append("".join(child.itertext()))
        parts.append(child.tail or "")
    yield from _block("".join(parts), kind)


def _block(text: str, kind: str) -> Iterator[Block]:
    clean = " ".join(text.split())
    words = clean.replace(_MARK, "")
    if not words:
        return
    if clean.startswith(_MARK):
        kind = CAPTION
    elif is_furniture(words):
        kind = FURNITURE
    yield Block(words, kind)
