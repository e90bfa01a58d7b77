"""Markdown of text panels as components: CommonMark with tables, and nothing that can run.

HTML in the text is shown as text; links go through `safe_url`, images are left out (they would tell
another server who looks). The parser is markdown-it-py; what is not known here is shown as text.
"""

from __future__ import annotations

from typing import Any

from dash import html
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from dashboards.components import Component
from dashboards.custom.checks import safe_url

_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])

_TAGS: dict[str, Any] = {
    "paragraph": html.P,
    "strong": html.Strong,
    "em": html.Em,
    "s": html.S,
    "bullet_list": html.Ul,
    "ordered_list": html.Ol,
    "list_item": html.Li,
    "blockquote": html.Blockquote,
    "table": html.Table,
    "thead": html.Thead,
    "tbody": html.Tbody,
    "tr": html.Tr,
    "th": html.Th,
    "td": html.Td,
}
_HEADINGS = {"h1": html.H2, "h2": html.H3, "h3": html.H4}
"""A panel's own title is a heading of the second level: its text begins there."""

DEPTH_MAX = 40
"""Nesting that is drawn; deeper, the text is shown plainly."""


def render(text: str) -> Component:
    tree = SyntaxTreeNode(_PARSER.parse(text))
    return html.Div(_inside(tree, 0), className="gl-text")


def _inside(node: SyntaxTreeNode, depth: int) -> list[Component]:
    return [_component(child, depth + 1) for child in node.children]


def _component(node: SyntaxTreeNode, depth: int) -> Component:
    kind = node.type
    if depth > DEPTH_MAX or kind == "text":
        return node.content
    if kind in ("softbreak", "hardbreak"):
        return html.Br() if kind == "hardbreak" else " "
    if kind == "hr":
        return html.Hr()
    if kind == "code_inline":
        return html.Code(node.content)
    if kind in ("fence", "code_block"):
        return html.Pre(html.Code(node.content), className="gl-pre")
    if kind == "image":
        return html.Span(f"[image: {node.content}]", className="gl-faint")
    if kind == "link":
        return link(_inside(node, depth), str(node.attrs.get("href", "")))
    if kind == "heading":
        return _HEADINGS.get(node.tag, html.H5)(_inside(node, depth))
    if kind == "inline":
        return html.Span(_inside(node, depth)) if len(node.children) != 1 else _only(node, depth)
    if kind in _TAGS:
        return _TAGS[kind](_inside(node, depth))
    return node.content or html.Span(_inside(node, depth))


def _only(node: SyntaxTreeNode, depth: int) -> Component:
    return _component(node.children[0], depth + 1)


def link(inside: Component, url: str, className: str = "") -> Component:
    """A link that opens beside our page when it leads elsewhere; an unsafe one is plain text."""
    try:
        safe_url(url)
    except ValueError:
        return html.Span(inside)
    if url.startswith("/"):
        return html.A(inside, href=url, className=className)
    return html.A(
        inside, href=url, className=className, target="_blank", rel="noopener noreferrer nofollow"
    )
