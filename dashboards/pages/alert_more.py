"""What lies below the alerts screen: /alerts/rules, /alerts/rules/<name>, /alerts/delivery."""

from __future__ import annotations

from dash import Dash

from dashboards.components import Component, page_head
from dashboards.data import Data
from dashboards.pages import alert_delivery, alert_rule, alert_rules


def layout(data: Data, name: str) -> Component:
    """name: what follows /alerts/ in the path."""
    first, _, rest = name.partition("/")
    if first == "rules":
        return alert_rule.layout(data, rest) if rest else alert_rules.layout(data)
    if name == "delivery":
        return alert_delivery.layout(data)
    return page_head("Nothing here", "Alerts have rules and delivery below them.")


def register(app: Dash, data: Data) -> None:
    for page in (alert_rules, alert_rule, alert_delivery):
        page.register(app, data)
