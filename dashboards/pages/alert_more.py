"""What lies below the alerts screen: /alerts/rules, /alerts/rules/<name>, /alerts/delivery."""

from __future__ import annotations

from dash import Dash, html

from dashboards import identity
from dashboards.components import Component, page_head, page_link
from dashboards.data import Data
from dashboards.pages import alert_delivery, alert_rule, alert_rules

NOT_YOURS = (
    "Rules and delivery are shown to those who see every API and consumer. What fires about yours "
    "stands under "
)


def layout(data: Data, name: str) -> Component:
    """name: what follows /alerts/ in the path."""
    if not identity.sees_all_alerts():
        return html.Div(
            [
                page_head("Alerts"),
                html.P([NOT_YOURS, page_link("Alerts", "/alerts", "gl-link-button"), "."]),
            ]
        )
    first, _, rest = name.partition("/")
    if first == "rules":
        return alert_rule.layout(data, rest) if rest else alert_rules.layout(data)
    if name == "delivery":
        return alert_delivery.layout(data)
    return page_head("Nothing here", "Alerts have rules and delivery below them.")


def register(app: Dash, data: Data) -> None:
    for page in (alert_rules, alert_rule, alert_delivery):
        page.register(app, data)
