"""The first answer holds its whole screen: what the framework would ask for next is in the page.

Without it a browser asks for the frame and the callbacks, then for the screen, and only then for
the data: two round trips before the first question. assets/gatelens.js hands the blocks to the
framework instead of asking, if they were made for the address it is at.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from starlette.types import Scope


@dataclass(frozen=True, slots=True)
class Place:
    """An address as the browser's `location` says it: `path` is percent-encoded; `search` begins
    with '?' or is ''."""

    path: str
    search: str

    @classmethod
    def of(cls, scope: Scope) -> Place:
        raw = scope.get("raw_path") or scope["path"].encode()
        query = scope.get("query_string", b"").decode("latin-1")
        return cls(raw.decode("latin-1"), f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class FirstScreen:
    """A place, and the content of the screen that lives there."""

    place: Place
    content: Any


def block(path: str, text: str, place: Place | None = None) -> str:
    """A data block with what a GET of `path` would answer: JSON, never run by the browser.

    place: the only address it is good for; None = every one.
    """
    of = f' data-path="{escape(place.path)}" data-search="{escape(place.search)}"' if place else ""
    # JSON has "<" in strings alone; as it is it could end the block.
    safe = text.replace("<", "\\u003c")
    return f'<script type="application/json" data-gl-answers="{escape(path)}"{of}>{safe}</script>'
