"""`gatelens sql`: an analyst's question, under the same guard as the HTTP endpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from gatelens.cli_options import Config, Data, console, errors, read_settings
from gatelens.output import OutputFormat, write_result


def add_to(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(sql)


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT; '-' reads standard input.")] = "",
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="How to write the rows.")
    ] = OutputFormat.table,
    schema: Annotated[
        bool, typer.Option("--schema", help="List tables, columns, units and meanings instead.")
    ] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Ask the lake; works whether or not the servers run."""
    from storage.errors import SqlError
    from storage.sql_worker import run_sql

    if schema or not query:
        _print_schema()
        return
    if query == "-":
        query = typer.get_text_stream("stdin").read()
    settings = read_settings(data, config)
    try:
        result = run_sql(settings.storage_settings, query)
    except SqlError as err:
        errors.print(f"gatelens: {err}", markup=False)
        raise typer.Exit(1) from err
    write_result(result.table, output_format)
    if result.truncated:
        errors.print(f"gatelens: only the first {result.table.num_rows:,} rows are shown.")


def _print_schema() -> None:
    from storage.describe import describe_macros, describe_tables

    for table in describe_tables():
        console.print(f"[bold]{table.name}[/bold]  {table.description}")
        for column in table.columns:
            unit = f" [{column.unit}]" if column.unit else ""
            line = f"  {column.name:<28} {column.type:<26} {column.description}{unit}"
            console.print(line, markup=False)
        console.print(f"  e.g. {table.example}\n", markup=False)
    for macro in describe_macros():
        console.print(f"[bold]{macro.signature}[/bold]  {macro.description}", highlight=False)
