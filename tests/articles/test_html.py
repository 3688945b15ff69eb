"""The article on a web page: its parts are told apart, the rest of the page is left."""

import importlib.util
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitrepbench.articles import html
from sitrepbench.errors import ConfigError, SitrepBenchError

PAGE = """<!DOCTYPE html><html><head><meta charset="utf-8"><title>Strike - Tirin News</title>
<script>var never = "shown";</script></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/world">World</a></li></ul></nav>
<article><h1>Two dead in Velmora strike</h1>
<figure><img src="a.jpg" alt=""><figcaption>Smoke over the harbor of Velmora</figcaption></figure>
<p>Two people were killed on Monday when a shell hit a bus in Velmora, the mayor said.</p>
<p>"We heard it," said Dr. <b>Mina</b> Halloran. "Then the bus was gone."<br>Nobody came.</p>
<h2>What is known</h2>
<ul><li>The bus was on its way to Osk</li><li>It carried 12 people</li></ul>
<p>Advertisement</p>
<blockquote><p>We have no orders to fire on the town, and we did not.</p></blockquote>
<p>The talks in Tirin go on, a spokesman for the rebels said on Tuesday evening.</p>
</article><footer>© Tirin News, all rights reserved</footer></body></html>"""


@pytest.fixture(scope="module", autouse=True)
def _trafilatura(require):
    present = all(importlib.util.find_spec(name) for name in ("trafilatura", "lxml_html_clean"))
    require(present, "web pages need the extra html")


def test_the_parts_of_an_article_are_told_apart():
    found = [(block.kind, block.text) for block in html.html_blocks(PAGE)]
    assert found == [
        ("headline", "Two dead in Velmora strike"),
        ("caption", "Smoke over the harbor of Velmora"),
        (
            "paragraph",
            "Two people were killed on Monday when a shell hit a bus in Velmora, the mayor said.",
        ),
        ("paragraph", '"We heard it," said Dr. Mina Halloran. "Then the bus was gone."'),
        ("paragraph", "Nobody came."),
        ("headline", "What is known"),
        ("list", "The bus was on its way to Osk"),
        ("list", "It carried 12 people"),
        ("furniture", "Advertisement"),
        ("paragraph", "We have no orders to fire on the town, and we did not."),
        (
            "paragraph",
            "The talks in Tirin go on, a spokesman for the rebels said on Tuesday evening.",
        ),
    ]


def test_a_headline_outside_of_the_article_is_kept():
    page = PAGE.replace("<h1>Two dead in Velmora strike</h1>", "").replace(
        "<nav>", "<div><h1>Two dead in Velmora strike</h1></div><nav>"
    )
    texts = [block.text for block in html.html_blocks(page)]
    assert texts[0] == "Two dead in Velmora strike"
    assert texts.count(texts[0]) == 1


def test_a_short_page_without_an_article_element_keeps_its_parts_apart():
    page = (
        "<html><body><h1>Three hurt\n in Osk</h1>\n<p>A shell fell on the\n market, hurting "
        "three <b>people</b>. Dr. Amon saw it.</p><ul><li>One\n more</li><li>Two</li></ul>"
        "</body></html>"
    )
    assert [(block.kind, block.text) for block in html.html_blocks(page)] == [
        ("headline", "Three hurt in Osk"),
        ("paragraph", "A shell fell on the market, hurting three people. Dr. Amon saw it."),
        ("list", "One more"),
        ("list", "Two"),
    ]


@pytest.mark.parametrize("page", ["<html></html>", "<", "no page at all", "<?xml version='1.0'?>"])
def test_pages_without_an_article(page):
    assert isinstance(html.html_blocks(page), list)


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    monkeypatch.setattr(html.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'sitrepbench\[html\]'"):
        html.html_blocks(PAGE)


@settings(max_examples=60)
@given(
    pieces=st.lists(
        st.sampled_from(
            [
                PAGE[:700],
                PAGE[700:],
                "<p>They met. He left.</p>",
                "<figure>",
                "<figcaption>a",
                "</figure>",
                "<h1>",
                "<table><td>b",
                "<li>",
                "<br>",
                "</p>",
                "<blockquote>",
                "<!--",
                "<![CDATA[",
                "&#0;",
                "&#xD800;",
                "<?xml version='1.0' encoding='utf-16'?>",
            ]
        )
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        max_size=8,
    )
)
def test_any_page_gives_blocks_or_none(pieces):
    try:
        found = html.html_blocks("".join(pieces))
    except SitrepBenchError as error:
        raise AssertionError(pieces) from error
    assert all(block.text.strip() and "\ue5c1" not in block.text for block in found)
