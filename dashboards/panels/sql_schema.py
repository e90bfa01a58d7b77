"""The tables an analyst may ask, beside the statement: columns, units, examples, functions."""

from __future__ import annotations

import json

from dash import html

from dashboards.components import Component, attrs
from storage.describe import ColumnInfo, TableInfo, describe_macros, describe_tables


def schema_list() -> Component:
    tables = describe_tables()
    known = {table.name: [c.name for c in table.columns] for table in tables}
    return html.Div(
        [
            # Read by assets/gl_sql.js for completion.
            html.Div(json.dumps({"tables": known}), id="sql-schema-data", hidden=True),
            *(_table(table) for table in tables),
            html.Details(
                [
                    html.Summary("functions of our own"),
                    html.Dl(
                        [
                            part
                            for macro in describe_macros()
                            for part in (
                                html.Dt(_into_statement(macro.signature)),
                                html.Dd(macro.description),
                            )
                        ],
                        className="gl-kv",
                    ),
                ]
            ),
        ],
        className="gl-schema",
    )


def _table(table: TableInfo) -> Component:
    return html.Details(
        [
            html.Summary(html.Span(table.name, className="gl-mono"), title=table.description),
            html.Div(
                [
                    html.Span(table.description),
                    html.Button(
                        "Example",
                        className="gl-button",
                        type="button",
                        title=table.example,
                        **attrs({"data-gl-sql": f"example:{table.example}"}),
                    ),
                ],
                className="gl-schema-head gl-sub",
            ),
            html.Dl(
                [part for column in table.columns for part in _column(column)],
                className="gl-kv",
            ),
        ]
    )


def _column(column: ColumnInfo) -> tuple[Component, Component]:
    kind = f"{column.type}, {column.unit}" if column.unit else column.type
    return (
        html.Dt(_into_statement(column.name)),
        html.Dd([html.Span(kind, className="gl-schema-type"), column.description]),
    )


def _into_statement(text: str) -> Component:
    return html.Button(
        text,
        className="gl-cell-filter gl-mono",
        type="button",
        title="Put it into the statement",
        **attrs({"data-gl-sql": f"insert:{text}"}),
    )
