"""Long tables: rows are drawn as they scroll into view (AG Grid), cells by assets/gatelens.js."""

from __future__ import annotations

import dash_ag_grid as dag
from dash import html

from dashboards.components.base import Component


def number_column(field: str, title: str, **more: object) -> dict[str, object]:
    """A right-aligned column whose cells carry the exact number (assets/gatelens.js: Number)."""
    return {
        "field": field,
        "headerName": title,
        "cellRenderer": "Number",
        "type": "rightAligned",
        "sortingOrder": ["desc", "asc", None],
        "width": 108,
        **more,
    }


def grid(
    id: str,
    columns: list[dict[str, object]],
    *,
    fixed: int = 0,
    row_height: int = 38,
    row_classes: dict[str, str] | None = None,
) -> Component:
    """AG Grid in our look. Rows are told apart by `id`, so that a refresh keeps the scroll.

    `row_classes`: CSS class -> condition on the row, as AG Grid reads it.
    `fixed`: height in pixels with rows made as they scroll into view; 0 = as high as its rows.
    """
    return html.Div(
        dag.AgGrid(
            id=id,
            columnDefs=columns,
            rowData=[],
            getRowId="params.data.id",
            rowClassRules=row_classes or {},
            defaultColDef={"sortable": True, "resizable": True, "suppressMovable": True},
            dashGridOptions={
                "rowHeight": row_height,
                "headerHeight": 34,
                "suppressCellFocus": False,
                "animateRows": False,
                "domLayout": "normal" if fixed else "autoHeight",
                "tooltipShowDelay": 300,
            },
            style={"width": "100%", **({"height": f"{fixed}px"} if fixed else {})},
        ),
        className="gl-ag",
    )
