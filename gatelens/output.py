"""Writes a table of results the way it was asked for: on a terminal, or for another program."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import IO

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.console import Console
from rich.table import Table


class OutputFormat(StrEnum):
    """How results are written to standard output."""

    table = "table"
    csv = "csv"
    json = "json"
    arrow = "arrow"
    parquet = "parquet"


def write_result(
    result: pa.Table, output_format: OutputFormat, out: IO[bytes] | None = None
) -> None:
    """Write `result` to `out` (standard output by default).

    json: an array of objects, times in ISO 8601 with zone, NULL as null; arrow: an IPC stream.
    """
    sink = out or sys.stdout.buffer
    match output_format:
        case OutputFormat.table:
            _write_table(result)
            return
        case OutputFormat.csv:
            pyarrow.csv.write_csv(_flat(result), sink)
        case OutputFormat.json:
            sink.write(orjson.dumps(result.to_pylist(), default=str, option=orjson.OPT_UTC_Z))
            sink.write(b"\n")
        case OutputFormat.arrow:
            with pa.ipc.new_stream(sink, result.schema) as writer:
                writer.write_table(result)
        case OutputFormat.parquet:
            pyarrow.parquet.write_table(result, sink)
    sink.flush()


def _write_table(result: pa.Table) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for field in result.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        table.add_column(field.name, justify="right" if number else "left")
    for row in result.to_pylist():
        table.add_row(*(_cell(value) for value in row.values()))
    # Piped, a table keeps its columns instead of being folded to the width of a terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    # Control characters of telemetry must not reach the terminal; brackets are not markup.
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return text.replace("[", r"\[")


def _flat(result: pa.Table) -> pa.Table:
    """CSV has no lists and maps: they are written as JSON text."""
    columns = []
    for field, column in zip(result.schema, result.columns, strict=True):
        if pa.types.is_nested(field.type):
            texts = [
                None if v is None else orjson.dumps(v, default=str).decode()
                for v in column.to_pylist()
            ]
            columns.append(pa.chunked_array([pa.array(texts, pa.string())]))
        else:
            columns.append(column)
    return pa.table(columns, names=result.schema.names)
