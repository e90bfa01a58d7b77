"""Ids of components and the words on the screens, in one place.

Tests and callbacks use these names; a number on a screen has the id `<page>-<measure>` and its
exact value in `data-value`.
"""

from __future__ import annotations

from dataclasses import dataclass

URL = "url"
PAGE = "page"
VIEW = "view"
TICK = "tick"
TIMER = "refresh-timer"
SCHEME = "scheme"
RANGE_LABEL = "range-label"
RANGE_FROM = "range-from"
RANGE_TO = "range-to"
REFRESH_LABEL = "refresh-label"
ENVIRONMENT = "environment"
FRESHNESS = "freshness"
NOTES = "notes"
FILTER_BAR = "filter-bar"
TIME_GRAPH = "time-graph"
"""Type of the pattern id of every chart over time: dragging on one sets the range of the page."""


def time_graph(name: str) -> dict[str, str]:
    return {"type": TIME_GRAPH, "name": name}


def nav(key: str) -> dict[str, str]:
    return {"type": "nav", "key": key}


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of the navigation. `key` is the first part of the path; '' = home."""

    key: str
    label: str
    group: str = ""

    @property
    def path(self) -> str:
        return f"/{self.key}"


NAV = (
    NavItem("", "Home"),
    NavItem("dashboards", "Dashboards"),
    NavItem("apis", "APIs", "Product"),
    NavItem("consumers", "Consumers", "Product"),
    NavItem("products", "Products and plans", "Product"),
    NavItem("reports", "Reports", "Product"),
    NavItem("requests", "Requests", "Explore"),
    NavItem("traces", "Traces", "Explore"),
    NavItem("services", "Services", "Explore"),
    NavItem("logs", "Logs", "Explore"),
    NavItem("explorer", "Metrics", "Explore"),
    NavItem("sql", "SQL", "Explore"),
    NavItem("alerts", "Alerts", "Run"),
    NavItem("operate", "Operate", "Run"),
    NavItem("admin", "Admin", "Run"),
    NavItem("me", "How am I doing?"),
)

EMPTY_TITLE = "No requests yet"
EMPTY_TEXT = (
    "Point a gateway, a sidecar or an OpenTelemetry SDK at the collector; this screen fills within "
    "seconds. Nothing has to be configured here."
)
NO_DATA_IN_RANGE = "No requests in this time range"
ERROR_TEXT = (
    "This panel could not be loaded. The server's log has the reason under request id {id}."
)
