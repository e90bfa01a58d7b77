"""Building blocks every page is made of. Pure: values in, Dash components out; no query, no clock.

One file per noun: base (numbers, badges), stats (the state row), panels (charts), tables, grids,
links, tabs, forms, screens (the skeleton of a page), states (skeletons, empty, failed), spark,
plain (what the browser gets of all this).
Pages import from here. Looks live in assets/gatelens.css, by class name.
"""

from dashboards.components.base import (
    Component,
    Tone,
    attrs,
    badge,
    dot,
    number,
    severity_tone,
    when,
)
from dashboards.components.forms import end_button, form_foot, text_field
from dashboards.components.grids import grid, number_column
from dashboards.components.links import api_link, crumbs, file_links, page_head, page_link
from dashboards.components.panels import (
    GRAPH_CONFIG,
    chart_menu,
    graph,
    panel,
    rule_menu,
    time_chart,
)
from dashboards.components.plain import lightened
from dashboards.components.screens import screen, waiting
from dashboards.components.spark import spark_svg, sparkline
from dashboards.components.states import empty_installation, failure, skeleton_rows, skeleton_stats
from dashboards.components.stats import Stat, stat_card, stat_row
from dashboards.components.tables import Head, share_bar, table
from dashboards.components.tabs import chosen_of, tabs

__all__ = [
    "Component",
    "GRAPH_CONFIG",
    "Head",
    "Stat",
    "Tone",
    "api_link",
    "attrs",
    "badge",
    "chart_menu",
    "chosen_of",
    "crumbs",
    "dot",
    "empty_installation",
    "end_button",
    "failure",
    "form_foot",
    "graph",
    "grid",
    "lightened",
    "number",
    "number_column",
    "page_head",
    "file_links",
    "page_link",
    "panel",
    "rule_menu",
    "severity_tone",
    "screen",
    "share_bar",
    "skeleton_rows",
    "skeleton_stats",
    "spark_svg",
    "sparkline",
    "stat_card",
    "stat_row",
    "table",
    "tabs",
    "text_field",
    "time_chart",
    "waiting",
    "when",
]
