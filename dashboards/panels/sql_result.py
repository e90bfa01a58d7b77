"""What a statement answered: its rows, a chart of them, and what it cost."""

from __future__ import annotations

import dash_ag_grid as dag
import pyarrow as pa
from dash import html

from dashboards import format as fmt
from dashboards.components import Component, graph
from dashboards.figures.result import result_chart
from dashboards.theme import Mode
from storage.sql_worker import SqlResult

CELL_CHARS_MAX = 2_000
"""Longest text of one cell; the HTTP API gives everything."""


def result_graph(table: pa.Table, mode: Mode) -> Component:
    shown = graph("sql-graph", height=260, label="Chart of the result")
    shown.children.figure = result_chart(table, mode)
    return shown


def cost(result: SqlResult) -> str:
    """'12 rows, 1.2 kB in 34 ms, out of 3 files of 40 MB'."""
    cut = ", cut there" if result.truncated else ""
    size = fmt.bytes_size(result.table.nbytes)
    read = fmt.bytes_size(result.file_bytes)
    return (
        f"{fmt.whole(result.table.num_rows)} rows{cut}, {size} in "
        f"{fmt.milliseconds(result.elapsed_ms)}, out of {fmt.whole(result.files)} "
        f"file{'' if result.files == 1 else 's'} of {read}"
    )


def result_grid(table: pa.Table) -> Component:
    """Rows as they are; columns go by position, since names may repeat or hold dots."""
    columns = [
        {
            "field": f"c{index}",
            "headerName": column.name,
            "type": "rightAligned" if _is_number(column.type) else "",
            "cellDataType": False,
            "minWidth": 110,
            "flex": 1,
        }
        for index, column in enumerate(table.schema)
    ]
    rows = [
        {f"c{index}": cell(value) for index, value in enumerate(row.values())}
        for row in table.rename_columns([f"c{i}" for i in range(table.num_columns)]).to_pylist()
    ]
    return html.Div(
        dag.AgGrid(
            columnDefs=columns,
            rowData=rows,
            defaultColDef={"sortable": True, "resizable": True},
            dashGridOptions={"rowHeight": 30, "headerHeight": 32, "enableCellTextSelection": True},
            style={"width": "100%", "height": "440px"},
        ),
        className="gl-ag",
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def cell(value: object) -> object:
    """What JSON can hold stays; anything else is text. None is an empty cell."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:CELL_CHARS_MAX]
