"""A data file whose footer is damaged at any byte: whatever reads it says so or answers; nothing
crashes, hangs or takes the whole memory. In a process of its own, since a crash is what is looked
for. Every byte in the slow suite, some in the quick one."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from storage.lake import Lake
from storage.settings import StorageSettings
from tests.storage.conftest import HOUR

READER = """
import json, resource, sys
from collections import Counter
from pathlib import Path
import duckdb, pyarrow as pa
from storage.check import check_lake
from storage.errors import LakeDamaged
from storage.lake import Lake
from storage.merge import read_files
from storage.session import ReadSession
from storage.settings import StorageSettings

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
settings = StorageSettings(data_dir=Path(sys.argv[1]))
step = int(sys.argv[2])
lake = Lake(settings)
table = lake.table("rejects")
(entry,) = table.snapshot().files()
path = table.location / entry.path
whole = path.read_bytes()
footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
seen = Counter()

def reads(name, read):
    try:
        read()
        seen[name, "answered"] += 1
        return True
    except (duckdb.Error, LakeDamaged):
        seen[name, "refused"] += 1
        return False

for at in range(footer, len(whole), step):
    for what, data in (
        ("cut", whole[:at]),
        ("flipped", whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1:]),
        ("zeroed", whole[:at] + b"\\0" + whole[at + 1:]),
    ):
        path.write_bytes(data)
        problems = list(check_lake(settings, read_rows=True))
        assert len(problems) <= 1
        if what == "cut":
            assert problems and problems[0].rows_lost == 50, at
        seen["doctor", "reported" if problems else "well"] += 1
        merged = reads("merge", lambda: read_files(table, [entry]))
        with ReadSession(lake) as session:
            asked = reads("query", lambda: session.query(
                "SELECT count(*), count(detail), max(position) FROM rejects WHERE reason <> 'x'"))
        assert not (what == "cut" and (merged or asked)), at
print(json.dumps({" ".join(k): n for k, n in seen.items()}))
"""


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(101, id="some"),
        pytest.param(1, id="all", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_a_footer_damaged_at_any_byte_crashes_nobody(tmp_path: Path, step: int) -> None:
    table = Lake(StorageSettings(data_dir=tmp_path)).table("rejects")
    rows = pa.table(
        {
            "time": pa.array(
                [HOUR + timedelta(seconds=n) for n in range(50)], pa.timestamp("us", tz="UTC")
            ),
            "tenant": ["default"] * 50,
            "source": ["nginx"] * 50,
            "position": pa.array(range(50), pa.int64()),
            "reason": ["bad_time"] * 50,
            "detail": [f"line {n} has no time" for n in range(50)],
        }
    )
    table.append(rows, app_id="w", app_version=1)
    done = subprocess.run(
        [sys.executable, "-c", READER, tmp_path, str(step)],
        capture_output=True,
        text=True,
        timeout=1700,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["doctor reported"] > seen.get("doctor well", 0) / 10
    assert seen["merge refused"] > 0
    assert seen["query refused"] > 0
