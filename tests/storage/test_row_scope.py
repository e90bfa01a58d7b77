"""A narrowed session shows its rows and no other, of every table."""

from __future__ import annotations

import pyarrow as pa
import pytest

from storage.lake import Lake
from storage.row_scope import RowScope
from storage.schemas import TABLES, TIMESTAMP
from storage.session import ReadSession
from tests.storage.conftest import HOUR

ODD = "o'brien; DROP TABLE requests--"


def rows_of(table: str) -> pa.Table:
    """One row per mix of API, consumer and service, as far as the table has them."""
    names = TABLES[table].column_names
    values = [
        (api, consumer, service)
        for api in ("orders", ODD, None)
        for consumer in ("acme", "zeta", None)
        for service in ("shop", None)
    ]
    columns = {
        "time": pa.array([HOUR] * len(values), TIMESTAMP),
        "tenant": ["default"] * len(values),
    }
    for index, name in enumerate(("api", "consumer", "service_name")):
        if name in names:
            columns[name] = pa.array([v[index] for v in values], pa.string())
    return pa.table(columns)


@pytest.fixture
def full(lake: Lake) -> None:
    for name in TABLES:
        lake.table(name).append(rows_of(name), app_id="w", app_version=1)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    "scope",
    [
        RowScope(),
        RowScope(apis=("orders",)),
        RowScope(apis=(ODD,), services=("shop",)),
        RowScope(consumers=("acme",)),
        RowScope(apis=("orders",), consumers=("zeta",)),
        RowScope(apis=("nobody",)),
    ],
)
def test_only_rows_of_the_scope_are_seen_in_every_table(
    session: ReadSession, scope: RowScope
) -> None:
    narrowed = session.narrowed(scope)
    for name in TABLES:
        visible = [
            row
            for row in rows_of(name).to_pylist()
            if row.get("api") in scope.apis
            or row.get("consumer") in scope.consumers
            or row.get("service_name") in scope.services
        ]
        found = narrowed.query(f"SELECT count(*) AS n FROM {name}")["n"][0].as_py()
        assert found == len(visible), name
        whole = session.query(f"SELECT count(*) AS n FROM {name}")["n"][0].as_py()
        assert whole == rows_of(name).num_rows


@pytest.mark.usefixtures("full")
def test_a_narrowed_session_can_be_widened_again_by_code_alone(session: ReadSession) -> None:
    narrowed = session.narrowed(RowScope())
    assert narrowed.query("SELECT * FROM requests").num_rows == 0
    assert narrowed.narrowed(None).query("SELECT * FROM requests").num_rows == 18
