"""The history of alerts as a table of the lake, for analysts: `alert_events`.

The state store's history is the source; the lake remembers, with the rows it holds, up to which
entry it has them. So nothing is missing and nothing is there twice after a crash anywhere.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import sqlalchemy as sa

from storage.lake import Lake
from storage.schemas import TABLES
from storage.state import alert_history

APP_ID = "alert-events"
EVENTS_PER_COMMIT_MAX = 10_000


def export_events(state: sa.Engine, lake: Lake, *, tenant: str = "default") -> int:
    """Append history entries the lake does not have yet; how many. Raises storage's errors."""
    table = lake.table("alert_events")
    have = table.app_version(APP_ID) or 0
    query = sa.select(alert_history).where(alert_history.c.id > have).order_by(alert_history.c.id)
    with state.connect() as connection:
        rows = connection.execute(query.limit(EVENTS_PER_COMMIT_MAX)).mappings().all()
    if not rows:
        return 0
    schema = TABLES["alert_events"].arrow_schema
    batch = pa.Table.from_pylist(
        [
            {
                "time": datetime.fromtimestamp(row["at"], UTC),
                "tenant": tenant,
                "rule": row["rule"],
                "fingerprint": row["fingerprint"],
                "state": row["to_state"],
                "severity": row["severity"],
                "labels": list(json.loads(row["labels"]).items()),
                "value": row["value"],
                "threshold": row["threshold"],
                "summary": row["summary"],
            }
            for row in rows
        ],
        schema=schema,
    )
    table.append(batch, app_id=APP_ID, app_version=int(rows[-1]["id"]))
    return len(rows)
