"""Panels made of areas: treemap and world map."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dash import html

from dashboards import format as fmt
from dashboards.components import Component, attrs
from dashboards.custom.answer import Answer, formatter
from dashboards.custom.definition import Panel
from dashboards.custom.draw_rows import as_float, nothing, ranked
from dashboards.custom.look import Look, empty_text, filter_of, group_name
from dashboards.figures.treemap import squarify
from dashboards.figures.world import Country, world_map
from dashboards.theme import OTHERS

ROW_PX, GAP_PX, COLUMN_PX = 44, 12, 105
"""Size of the grid on a wide screen: enough to choose rectangles that are near squares."""


def treemap(panel: Panel, answer: Answer, look: Look) -> Component:
    if not answer.values or not answer.names:
        return nothing("A treemap needs a column of names and one of numbers.")
    value = answer.values[0]
    rows = ranked(answer, 1_000)
    shown = [r for r in rows if (as_float(r[value]) or 0) > 0][: panel.source.limit]
    if not shown:
        return nothing(empty_text(panel, look.view))
    names = [group_name(row, answer.names) for row in shown]
    sizes = [as_float(row[value]) or 0.0 for row in shown]
    links = [filter_of(row, answer) for row in shown]
    total = sum(as_float(r[value]) or 0.0 for r in rows)
    rest = total - sum(sizes)
    if rest > total * 0.001:
        names, sizes, links = [*names, "others"], [*sizes, rest], [*links, ""]
    look.learn(answer.names, names)
    colour, form = look.colour(answer.names), formatter(panel, value)
    aspect = (panel.at.w * COLUMN_PX) / (panel.at.h * (ROW_PX + GAP_PX))
    parts = []
    for box in squarify(sizes, aspect):
        name = names[box.index]
        text = f"{fmt.plain(name, 80)}: {form(sizes[box.index])}, "
        text += f"{fmt.percent(sizes[box.index] / total)} of all"
        others = name == "others" and not links[box.index]
        inside = (
            [html.B(fmt.plain(name, 60)), html.Span(form(sizes[box.index]))]
            if box.w > 0.05 and box.h > 0.07
            else []
        )
        link = links[box.index] if look.interactive else ""
        more: dict[str, Any] = {"aria-label": text}
        if link:
            more |= {"data-gl-add": link, "type": "button"}
        else:
            more["role"] = "img"
        place = {
            "left": f"{box.x:.3%}",
            "top": f"{box.y:.3%}",
            "width": f"{box.w:.3%}",
            "height": f"{box.h:.3%}",
            "background": OTHERS if others else colour(name),
        }
        make: Any = html.Button if link else html.Div
        parts.append(make(inside, className="gl-tree-cell", style=place, title=text, **more))
    return html.Div(parts, className="gl-tree")


def world(panel: Panel, answer: Answer, look: Look) -> Component:
    """A place for the map; assets/gl_map.js paints the shapes in the given colours."""
    if not answer.values or not answer.names:
        return nothing("A map needs a column of country codes (ISO, two letters) and a number.")
    value, code = answer.values[0], answer.names[0]
    form = formatter(panel, value)
    found = world_map(
        {
            (None if row[code] is None else str(row[code])): as_float(row[value])
            for row in answer.frame.iter_rows(named=True)
        },
        form,
        look.mode,
    )
    if not found.countries:
        return nothing(empty_text(panel, look.view))
    adds_up = panel.source.measures in (("requests",), ("requests_per_s",), ("errors",))
    note = f"{form(found.elsewhere)} from no known country" if found.elsewhere and adds_up else ""
    return html.Div(
        [
            html.Div(
                className="gl-map-shapes",
                role="img",
                **attrs(
                    {
                        "data-gl-map": json.dumps(found.plain(), ensure_ascii=False),
                        "data-gl-click": "country" if look.interactive else "",
                        "aria-label": _told(panel, found.countries[:5]),
                    }
                ),
            ),
            html.Div(
                [
                    *(
                        html.Span([html.I(style={"background": colour}), text])
                        for colour, text in found.legend
                    ),
                    html.Span(note, className="gl-faint") if note else None,
                ],
                className="gl-map-legend",
            ),
        ],
        className="gl-map",
    )


def _told(panel: Panel, largest: Sequence[Country]) -> str:
    parts = [f"{c.code} {c.text}" for c in largest]
    return f"{panel.title or 'World map'}: {', '.join(parts)}"
