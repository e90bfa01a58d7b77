"""Every format against records as its documentation shows them: input in, rows out.

A case is a folder cases/<format>/<case>/ with input.*, expect.json and, where needed, options.json.
Expected rows leave out NULL columns. `GOLDEN=write pytest` rewrites expect.json; read the diff.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from collector.gateways import GATEWAY_FORMATS, gateway_format
from collector.payload import Content, Payload

CASES = Path(__file__).parent / "cases"
FOLDERS = sorted(path.parent for path in CASES.glob("*/*/input.*"))


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON: NULL left out, times in ISO, floats to a nanosecond."""
    out: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            value = value.isoformat().replace("+00:00", "Z")
        elif isinstance(value, float):
            value = round(value, 6)
        elif isinstance(value, list):
            value = dict(value)
        if value is not None:
            out[name] = value
    return out


def decode(folder: Path) -> dict[str, Any]:
    [source] = folder.glob("input.*")
    options_file = folder / "options.json"
    options = json.loads(options_file.read_text()) if options_file.exists() else {}
    content: Content = "json" if source.suffix == ".json" else "text"
    payload = Payload(
        source.read_bytes(), folder.parent.name, content, "default", None,
        1_700_000_000_000_000_000, source.name,
    )  # fmt: skip
    decoded = gateway_format(folder.parent.name, options).decode([payload])
    tables = decoded.tables
    rows = {name: table.to_pylist() for name, table in tables.items()}
    requests = [plain(row) for row in rows.get("requests", [])]
    rejects = rows.get("rejects", [])
    assert decoded.accepted == len(requests)
    assert decoded.rejected == len(rejects)
    for row in requests:
        if "credential" in row:
            row["credential"] = "<hash>" if len(row["credential"]) == 32 else row["credential"]
    return {
        "requests": requests,
        "rejects": [{key: row[key] for key in ("position", "reason", "record")} for row in rejects],
    }


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_records_become_the_rows_they_should(folder: Path) -> None:
    found = decode(folder)
    expected = folder / "expect.json"
    if os.environ.get("GOLDEN") == "write":
        expected.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    assert found == json.loads(expected.read_text())


def test_every_format_has_a_case() -> None:
    assert {folder.parent.name for folder in FOLDERS} == set(GATEWAY_FORMATS)
