"""Match paths against the route templates of an API: `/orders/{orderId}` for `/orders/{id}`.

Paths come in already templated by looks, so that a literal of a route is compared with its own
template too (`/reports/2024` in the catalog matches `/reports/{id}`). A literal wins over a
parameter. Routes may be written with or without the API's path prefix (OpenAPI leaves it out).
"""

from __future__ import annotations

from collections.abc import Sequence

from collector.naming.templates import PARAMETER, template_segment


class CatalogRoutes:
    """The routes of one API, as a tree of segments. An API without routes matches nothing."""

    def __init__(self, routes: Sequence[str], prefixes: Sequence[str] = ()) -> None:
        self._root: dict[str, object] = {}
        self._prefixes = sorted((p.rstrip("/") for p in prefixes), key=len, reverse=True)
        for route in routes:
            node = self._root
            for segment in _segments(route):
                key = PARAMETER if "{" in segment or segment.startswith(":") else segment
                child = node.setdefault(key, {})
                assert isinstance(child, dict)
                node = child
            node.setdefault("", route)
        self.empty = not routes

    def match(self, path: str) -> str | None:
        """The catalog's template for a (templated) path, None if there is none."""
        found = _walk(self._root, _segments(path), 0)
        for prefix in self._prefixes if found is None else ():
            if prefix and (path == prefix or path.startswith(prefix + "/")):
                found = _walk(self._root, _segments(path[len(prefix) :]), 0)
                if found is not None:
                    return prefix + found
        return found


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _walk(node: dict[str, object], segments: list[str], at: int) -> str | None:
    if at == len(segments):
        route = node.get("")
        return route if isinstance(route, str) else None
    segment = segments[at]
    for key, child in node.items():
        if key and key != PARAMETER and isinstance(child, dict) and _same(key, segment):
            found = _walk(child, segments, at + 1)
            if found is not None:
                return found
    child = node.get(PARAMETER)
    return _walk(child, segments, at + 1) if isinstance(child, dict) else None


def _same(literal: str, segment: str) -> bool:
    return literal == segment or (segment == PARAMETER and template_segment(literal) == PARAMETER)
