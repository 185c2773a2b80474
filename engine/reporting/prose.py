"""Markdown that people and agents wrote, as HTML in which nothing acts: text stays text, and links lead to the web."""

from collections.abc import Iterable

from markdown_it import MarkdownIt
from markdown_it.token import Token

from engine.harmless import clean_lines, harmless

LONGEST = 60_000
"""Characters that are rendered."""
SCHEMES = ("http://", "https://", "mailto:")
DEEPEST = 6


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802
        """Whether a link is one; else it is shown as it was written."""
        return url.strip().lower().startswith(SCHEMES)


_parser = _Parser("commonmark", {"html": False}).enable("table").disable("image")


def html(text: str, below: int) -> str:
    """The document, its headings below those of level ``below``."""
    tokens = _parser.parse("\n".join(clean_lines(text[:LONGEST])))
    for token in _all(tokens):
        match token.type:
            case "heading_open" | "heading_close":
                token.tag = f"h{min(DEEPEST, int(token.tag[1:]) + below)}"
            case "link_open":
                token.attrs["rel"] = "noopener noreferrer nofollow"
            case "th_open" | "td_open":
                token.attrs.pop("style", None)  # the page's policy admits no style but its own
            case "fence":
                token.info = ""
    rendered = str(_parser.renderer.render(tokens, _parser.options, {}))
    left = f"<p>The rest, {len(text) - LONGEST:,} characters, is left out.</p>" if len(text) > LONGEST else ""
    return "\n".join(map(harmless, rendered.split("\n"))) + left  # an entity may have stood for what is not harmless


def _all(tokens: Iterable[Token]) -> Iterable[Token]:
    for token in tokens:
        yield token
        yield from token.children or ()
