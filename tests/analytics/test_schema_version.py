from __future__ import annotations

import json

from storage.creation import VERSION_FILE
from storage.lake import Lake
from storage.schemas import LAKE_SCHEMA_VERSION
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.analytics.hostile import NOON, request_table


def test_lake_of_the_first_version_gets_the_new_tables(settings: StorageSettings) -> None:
    lake = Lake(settings)
    lake.table("requests").append(
        request_table([{"time": NOON, "tenant": "default"}]), app_id="old", app_version=1
    )
    mark = lake.root / VERSION_FILE
    mark.write_text(json.dumps({"schema_version": 1}))
    for path in lake.root.glob("requests/**/*.parquet"):
        assert f"-v{LAKE_SCHEMA_VERSION}-" in path.name  # what the writer of today says
    with ReadSession(Lake(settings)) as session:
        for table in ("traces", "service_edges", "attribute_keys", "billing_lines"):
            assert session.query(f"SELECT count(*) AS n FROM {table}")["n"][0].as_py() == 0
        assert session.query("SELECT count(*) AS n FROM requests")["n"][0].as_py() == 1
    assert json.loads(mark.read_text()) == {"schema_version": LAKE_SCHEMA_VERSION}
    assert LAKE_SCHEMA_VERSION >= 2
