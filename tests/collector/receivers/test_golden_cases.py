"""Every receiver against bodies as its documentation shows them: body in, rows out.

A case is a folder cases/<format>/<case>/ with input.* and expect.json. input.pbjson is a protobuf
message in JSON. Expected rows leave out NULL columns. `GOLDEN=write pytest` rewrites expect.json.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from collector.formats import FORMATS, inspect
from collector.payload import Content, Payload
from collector.receivers import envoy_als, loki, prometheus_write
from collector.receivers.registry import RECEIVER_FORMATS

CASES = Path(__file__).parent / "cases"
FOLDERS = sorted(path.parent for path in CASES.glob("*/*/input.*"))
NOW_NS = 1_700_000_100_000_000_000

MESSAGES = {
    "loki": loki._MESSAGES["PushRequest"],
    "prometheus_write": prometheus_write._WRITE,
    "envoy_als": envoy_als._MESSAGE,
}
_UNSTABLE = ("series",)
"""Columns that are not for people to read."""


def payload_of(folder: Path) -> Payload:
    [source] = folder.glob("input.*")
    name = folder.parent.name
    body, content = source.read_bytes(), "json"
    if source.suffix == ".pbjson":
        message = json_format.ParseDict(json.loads(body), MESSAGES[name]())
        body, content = message.SerializeToString(), "protobuf"
    shown: Content = content  # type: ignore[assignment]
    return Payload(body, name, shown, "default", None, NOW_NS, "192.0.2.99")


def plain(value: Any) -> Any:
    """As JSON: NULL left out, times in ISO, maps as objects."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v is not None and k not in _UNSTABLE}
    if isinstance(value, list):
        if value and isinstance(value[0], tuple):
            return dict(value)
        return [plain(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def decode(payload: Payload) -> dict[str, Any]:
    decoded = FORMATS[payload.format].decode([payload])
    rows = {name: [plain(r) for r in t.to_pylist()] for name, t in decoded.tables.items()}
    for row in rows.get("requests", []):
        if "credential" in row:
            assert len(row["credential"]) == 32, "a credential is only ever kept as its hash"
            row["credential"] = "<hash>"
    assert decoded.rejected == len(rows.get("rejects", []))
    assert decoded.accepted == sum(len(t) for name, t in rows.items() if name != "rejects")
    return dict(sorted(rows.items()))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f"{f.parent.name}/{f.name}")
def test_documented_body_gives_its_rows(folder: Path) -> None:
    payload = payload_of(folder)
    found = decode(payload)
    expected = folder / "expect.json"
    if os.environ.get("GOLDEN") == "write":
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(expected.read_text())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f"{f.parent.name}/{f.name}")
def test_the_count_before_the_acknowledgement_is_the_count_of_rows(folder: Path) -> None:
    payload = payload_of(folder)
    seen = inspect(FORMATS[payload.format], payload)
    rows = decode(payload)
    assert seen.records == sum(map(len, rows.values()))
    if seen.rejected:
        assert seen.rejected == len(rows["rejects"])


def test_every_receiver_has_a_case_and_documentation() -> None:
    assert {folder.parent.name for folder in FOLDERS} == set(RECEIVER_FORMATS)
    for format_ in RECEIVER_FORMATS.values():
        assert format_.description  # type: ignore[attr-defined]
        assert format_.snippet  # type: ignore[attr-defined]


def test_bodies_decoded_together_give_the_rows_they_give_alone() -> None:
    for name in RECEIVER_FORMATS:
        payloads = [payload_of(f) for f in FOLDERS if f.parent.name == name]
        together = FORMATS[name].decode(payloads)
        alone = [FORMATS[name].decode([payload]) for payload in payloads]
        assert together.accepted == sum(one.accepted for one in alone)
        assert together.rejected == sum(one.rejected for one in alone)
        rejects = together.tables.get("rejects")
        if rejects is not None:
            apart = [r for one in alone if "rejects" in one.tables
                     for r in one.tables["rejects"].to_pylist()]  # fmt: skip
            key = [(r["position"], r["reason"], r["record"]) for r in rejects.to_pylist()]
            assert sorted(key) == sorted((r["position"], r["reason"], r["record"]) for r in apart)
