"""Building blocks every page is made of. Values in, Dash components out; no query, no clock.

One file per noun: base (numbers, badges), stats (the state row), panels (charts), tables, cells
(of tables about requests), grids, links, tabs, forms, drawer, screens (the skeleton of a page),
states (skeletons, empty, failed), spark, plain (what the browser gets of all this).
What leads to a screen, takes a file or changes something asks who is reading: it is left out for
those who may not (links, panels).
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
from dashboards.components.cells import (
    change_cell,
    count_cell,
    error_tone,
    errors_cell,
    latency_cell,
)
from dashboards.components.drawer import drawer, facts, pairs_of
from dashboards.components.forms import author_field, button, end_button, form_foot, text_field
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
from dashboards.components.states import (
    empty_box,
    empty_installation,
    failure,
    skeleton_rows,
    skeleton_stats,
)
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
    "author_field",
    "badge",
    "button",
    "change_cell",
    "chart_menu",
    "chosen_of",
    "count_cell",
    "crumbs",
    "dot",
    "drawer",
    "empty_box",
    "empty_installation",
    "end_button",
    "error_tone",
    "errors_cell",
    "facts",
    "failure",
    "form_foot",
    "graph",
    "grid",
    "latency_cell",
    "lightened",
    "number",
    "number_column",
    "page_head",
    "file_links",
    "page_link",
    "pairs_of",
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
