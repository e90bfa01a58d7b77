"""Keep automatic routes few: a tree of path segments per API that learns which ones are ids.

`/users/alice`, `/users/bob`, … look like words. When more than CHILDREN_MAX different segments
have followed the same prefix, those that are not used often become `{id}`; routes named before that
keep their names. Paths that were answered 404 or 405 teach nothing, so that a scanner cannot fill
the tree: where the tree does not know such a path its route is `__unmatched__`.

What was learned lives as long as the process; after a restart it is learned again from traffic.
"""

from __future__ import annotations

from dataclasses import dataclass

from collector.naming.limits import CHILDREN_MAX, PINNED_HITS, PINNED_SHARE, ROUTES_MAX
from collector.naming.overflow import OVERFLOW
from collector.naming.templates import PARAMETER

UNMATCHED = "__unmatched__"
"""Route of paths that only ever were not found."""


@dataclass(slots=True)
class Room:
    """What all trees of a tenant may still take."""

    routes: int
    nodes: int


class _Node:
    __slots__ = ("children", "hits", "open", "pinned")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.hits = 0
        self.open = False
        self.pinned: frozenset[str] = frozenset()


class RouteTree:
    """Routes of one API."""

    def __init__(self, room: Room) -> None:
        self._root = _Node()
        self._room = room
        self._routes: set[str] = set()

    @property
    def routes(self) -> int:
        """Routes named so far."""
        return len(self._routes)

    def __contains__(self, route: str) -> bool:
        return route in self._routes

    def learn(self, template: str, hits: int) -> None:
        """Take note of a path that was answered. Without room for more, only of known segments."""
        node = self._root
        for segment in template.split("/")[1:]:
            node.hits += hits
            name = self._name(node, segment)
            child = node.children.get(name)
            if child is None:
                literals = len(node.children) - (PARAMETER in node.children)
                if name != PARAMETER and literals >= CHILDREN_MAX:
                    self._overflow(node)
                    name = PARAMETER
                child = node.children.get(name)
            if child is None:
                if self._room.nodes <= 0:
                    return
                self._room.nodes -= 1
                child = node.children[name] = _Node()
            node = child
        node.hits += hits

    def route(self, template: str, answered: bool) -> str:
        """Route of a template; learn first."""
        node: _Node | None = self._root
        names = []
        for segment in template.split("/")[1:]:
            name = segment if node is None else self._name(node, segment)
            names.append(name)
            node = None if node is None else node.children.get(name)
            if node is None and not answered:
                return UNMATCHED
        route = "/" + "/".join(names)
        if route in self._routes:
            return route
        if len(self._routes) >= ROUTES_MAX or self._room.routes <= 0:
            return OVERFLOW
        self._room.routes -= 1
        self._routes.add(route)
        return route

    @staticmethod
    def _name(node: _Node, segment: str) -> str:
        return PARAMETER if node.open and segment not in node.pinned else segment

    def _overflow(self, node: _Node) -> None:
        """Open the prefix: from now on only its often used segments keep their names."""
        enough = max(PINNED_HITS, node.hits * PINNED_SHARE)
        node.open = True
        node.pinned = frozenset(
            name for name, child in node.children.items()
            if name == PARAMETER or child.hits >= enough
        )  # fmt: skip
        merged = node.children.setdefault(PARAMETER, _Node())
        for name in [n for n in node.children if n not in node.pinned and n != PARAMETER]:
            self._room.nodes += _merge(merged, node.children.pop(name))


def _merge(into: _Node, other: _Node) -> int:
    """Answers how many nodes became fewer."""
    into.hits += other.hits
    gone = 1
    for name, child in other.children.items():
        if name in into.children:
            gone += _merge(into.children[name], child)
        else:
            into.children[name] = child
    return gone
