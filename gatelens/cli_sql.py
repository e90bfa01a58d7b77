"""`gatelens sql`: an analyst's question, under the same guard as the HTTP endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="NAME=VALUE for `$NAME`; a number, true, null or text."),
    ] = None,
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
    params = dict(_parameter(p) for p in param or ())
    try:
        with _progress_shown() as progress:
            result = run_sql(settings.storage_settings, query, params=params, progress=progress)
    except SqlError as err:
        errors.print(f"gatelens: {err}", markup=False)
        raise typer.Exit(1) from err
    write_result(result.table, output_format)
    if result.truncated:
        errors.print(f"gatelens: only the first {result.table.num_rows:,} rows are shown.")


def _parameter(text: str) -> tuple[str, object]:
    """`name=value`: what reads as a JSON number, boolean or null is one, the rest is text."""
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise typer.BadParameter(f"{text[:80]!r} is not NAME=VALUE", param_hint="--param")
    try:
        known = json.loads(value)
    except ValueError:
        return name, value
    return name, value if isinstance(known, (str, list, dict)) else known


@contextmanager
def _progress_shown() -> Iterator[Callable[[float], None]]:
    """A bar on the terminal's error side, gone when the rows come; Ctrl+C stops the query."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

    bar = Progress(
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=1.0)
        yield lambda done: bar.update(task, completed=done)


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
