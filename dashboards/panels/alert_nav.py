"""The head that the screens about alerts share: what fires, the rules, delivery."""

from __future__ import annotations

from dash import html

from dashboards import identity
from dashboards.components import Component, attrs, page_head

TABS = (
    ("", "Alerts", "/alerts"),
    ("rules", "Rules", "/alerts/rules"),
    ("delivery", "Delivery", "/alerts/delivery"),
)


def alert_head(key: str, sub: Component, actions: Component = None) -> Component:
    """key: which of TABS is shown."""
    return html.Div([page_head("Alerts", sub, actions), tabs(key)])


def tabs(key: str) -> Component:
    """Nothing for those who see only the alerts about their own: the other screens tell of all."""
    if not identity.sees_all_alerts():
        return None
    return html.Nav(
        [
            html.A(
                text,
                href=href,
                className="gl-tab on" if name == key else "gl-tab",
                **attrs({"data-gl-go": "1", **({"aria-current": "page"} if name == key else {})}),
            )
            for name, text, href in TABS
        ],
        className="gl-tabs",
        **attrs({"aria-label": "Alerts"}),
    )
