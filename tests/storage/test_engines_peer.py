"""Other engines read the lake as it is, by their own Delta code: DuckDB's delta_scan, ClickHouse,
and Spark's client and SQL on Sail, which answers Spark Connect without a Java machine.

The table has been through all we do to one: appends, merges (Remove and Add in one commit), expired
hours, a checkpoint and appends after it. Each engine runs in an environment of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest

from storage.commit import checkpoint
from storage.lake import Lake
from storage.maintenance import compact, expire
from storage.settings import StorageSettings
from tests.storage.conftest import HOUR, requests

pytestmark = [pytest.mark.peer, pytest.mark.timeout(900)]

DUCKDB = """
import glob, json, os, sys
import duckdb, duckdb_extension_delta as extension
con = duckdb.connect(config={"autoinstall_known_extensions": False})
found = os.path.join(os.path.dirname(extension.__file__), "**", "delta.duckdb_extension")
con.execute(f"LOAD '{glob.glob(found, recursive=True)[0]}'")
table = f"delta_scan('{sys.argv[1]}/requests')"
sql = f'''SELECT count(*), count(DISTINCT request_id), sum(duration_ms), epoch_us(max(time)),
    max(attributes['k']) FROM {table} WHERE tenant <> 'other' '''
print(json.dumps(con.execute(sql).fetchone()))
"""

CLICKHOUSE = """
import json, os, sys
os.chdir(sys.argv[1])  # it reads only below the folder it was loaded in
import chdb
con = chdb.connect(f":memory:?user_files_path={sys.argv[1]}")
sql = f'''SELECT count(), uniqExact(request_id), sum(duration_ms),
    toUnixTimestamp64Micro(max(time)), max(attributes['k'])
    FROM deltaLakeLocal('{sys.argv[1]}/requests') WHERE tenant <> 'other' '''
print(json.dumps(json.loads(str(con.query(sql, "JSONCompact")))["data"][0]))
"""

SPARK = """
import json, sys
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession
server = SparkConnectServer(port=0)
server.start(background=True)
spark = SparkSession.builder.remote(f"sc://localhost:{server.listening_address[1]}").getOrCreate()
spark.read.format("delta").load(f"{sys.argv[1]}/requests").createOrReplaceTempView("requests")
sql = '''SELECT count(*), count(DISTINCT request_id), sum(duration_ms), unix_micros(max(time)),
    max(attributes['k']) FROM requests WHERE tenant <> 'other' '''
print(json.dumps(list(spark.sql(sql).collect()[0])))
"""


@cache
def environment(name: str, *packages: str) -> Path:
    """A Python that has the packages. Skips the test where they cannot be installed."""
    folder = Path(tempfile.gettempdir()) / f"gatelens-peer-{name}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=300)
            pip = [python, "-m", "pip", "install", "-q", *packages]
            subprocess.run(pip, check=True, timeout=600, capture_output=True)
        except (OSError, subprocess.SubprocessError) as err:
            pytest.skip(f"{' and '.join(packages)} cannot be installed from PyPI here: {err}")
        ready.touch()
    return python


@pytest.fixture
def lake_folder(tmp_path: Path) -> Path:
    """2,600 requests of 'default' are live, 2,500 of them in a fresh file whose pages are our own;
    those of 'gone' have expired, 5 belong to a third one."""
    lake = Lake(
        StorageSettings(
            data_dir=tmp_path, retention_raw_days=0, retention_tenant_days=(("gone", 1),)
        )
    )
    table = lake.table("requests")
    for number in range(10):
        rows = requests(10, first=number * 10)
        mark = pa.array([[("k", f"v{number}")]] * 10, pa.map_(pa.string(), pa.string()))
        table.append(rows.append_column("attributes", mark), app_id="w", app_version=number)
    table.append(requests(5, tenant="other"), app_id="o", app_version=1)
    table.append(requests(20, tenant="gone", first=900), app_id="g", app_version=1)
    later = datetime.now(UTC) + timedelta(days=2)
    assert compact(lake, "requests", later).files_merged == 10 + 1 + 1
    assert expire(lake, "requests", later).files_expired == 1
    checkpoint(table.log)
    late = requests(2_500, start=HOUR + timedelta(hours=1), first=500)
    table.append(late, app_id="w", app_version=10)
    return lake.root


@pytest.mark.parametrize(
    ("script", "name", "packages"),
    [
        (DUCKDB, "duckdb-delta", ("duckdb==1.5.5", "duckdb-extension-delta==1.5.5")),
        (CLICKHOUSE, "chdb", ("chdb",)),
        (SPARK, "sail", ("pysail", "pyspark-client")),
    ],
    ids=["duckdb", "clickhouse", "spark"],
)
def test_an_engine_reads_exactly_the_live_rows(
    lake_folder: Path, tmp_path: Path, script: str, name: str, packages: tuple[str, ...]
) -> None:
    python = environment(name, *packages)
    file = tmp_path / "read.py"  # Spark's client starts no session for a program without a file
    file.write_text(script)
    done = subprocess.run([python, file, lake_folder], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    count, ids, duration, newest, mark = json.loads(done.stdout.splitlines()[-1])
    last = HOUR + timedelta(hours=1, seconds=2_499)
    assert (int(count), int(ids), duration) == (2_600, 2_600, 45.0 * 10 + sum(range(2_500)))
    assert int(newest) == int(last.timestamp()) * 1_000_000
    assert mark == "v9"
