"""The uncatalogued names of one tenant, bounded: the APIs and routes that got one so far."""

from __future__ import annotations

from collector.naming.limits import APIS_MAX, NODES_MAX, ROUTES_MAX, NamingLimits
from collector.naming.overflow import OVERFLOW, Reason
from collector.naming.routes import Room, RouteTree


class KnownNames:
    """Answers a name, or OVERFLOW and why. Not locked."""

    def __init__(self, limits: NamingLimits) -> None:
        self._limits = limits
        self._said_apis: set[str] = set()
        self._derived_apis: set[str] = set()
        self._said_routes: set[int] = set()
        self._room = Room(routes=limits.routes_max, nodes=NODES_MAX)
        self._trees: dict[str | None, RouteTree] = {}

    def said_api(self, name: str) -> tuple[str, Reason | None]:
        """An API as a gateway or service named it."""
        if name == OVERFLOW or name in self._said_apis or name in self._derived_apis:
            return name, None
        if len(self._said_apis) >= self._limits.apis_max:
            return OVERFLOW, "apis"
        self._said_apis.add(name)
        return name, None

    def derived_api(self, name: str, answered: bool) -> tuple[str, Reason | None]:
        """An API after a host or path segment; of those never `answered` nothing is kept."""
        if name in self._derived_apis:
            return name, None
        if not answered:
            return OVERFLOW, None
        if len(self._derived_apis) >= APIS_MAX:
            return OVERFLOW, "hosts"
        self._derived_apis.add(name)
        return name, None

    def said_route(self, api: str | None, route: str) -> tuple[str, Reason | None]:
        """A route as it was sent. Remembered by its hash: two with one hash count as one."""
        key = hash((api, route))
        if key in self._said_routes or (api in self._trees and route in self._trees[api]):
            return route, None
        if self._room.routes <= 0:
            return OVERFLOW, "routes"
        self._room.routes -= 1
        self._said_routes.add(key)
        return route, None

    def learn(self, api: str | None, template: str, hits: int) -> None:
        """Take note of a path that was answered."""
        self._tree(api).learn(template, hits)

    def route(self, api: str | None, template: str, answered: bool) -> tuple[str, Reason | None]:
        """The route of a template; learn first."""
        tree = self._tree(api)
        route = tree.route(template, answered)
        if route != OVERFLOW:
            return route, None
        return OVERFLOW, "routes_of_api" if tree.routes >= ROUTES_MAX else "routes"

    def _tree(self, api: str | None) -> RouteTree:
        tree = self._trees.get(api)
        if tree is None:
            tree = self._trees[api] = RouteTree(self._room)
        return tree
