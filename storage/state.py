"""Small state that changes in place: job runs, leases, alert states, the outbox of notifications.

SQLite by default, PostgreSQL by URL. Tables are declared here (people's in state_people.py, those
of collectors in state_collectors.py, saved SQL in state_statements.py), once; rooms read and write
them through SQLAlchemy Core. Bulk data never goes here.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Engine,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    make_url,
)
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import CreateIndex, CreateTable

from storage import state_collectors, state_people, state_statements
from storage.settings import StorageSettings
from storage.state_metadata import metadata
from storage.state_versions import migrate

# imported so that their tables are made, too
for _table in (
    state_people.users,
    state_collectors.collector_stretches,
    state_statements.saved_statements,
):
    assert _table.metadata is metadata

job_runs = Table(
    "job_runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job", String(200), nullable=False),
    Column("started_at", Float, nullable=False),  # epoch seconds, UTC
    Column("finished_at", Float),  # NULL while it runs
    Column("source_version_from", BigInteger),
    Column("source_version_to", BigInteger),
    Column("rows_in", BigInteger, nullable=False, default=0),
    Column("rows_out", BigInteger, nullable=False, default=0),
    Column("lag_s", Float),  # age of the newest row that was read
    Column("error", Text),  # NULL = it went well
    Index("job_runs_by_job", "job", "started_at"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("expires_at", Float, nullable=False),  # epoch seconds
    Column("token", BigInteger, nullable=False),  # fencing: grows with every holder
)

alert_instances = Table(
    "alert_instances",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("rule", String(200), nullable=False),
    Column("labels", Text, nullable=False),  # JSON
    Column("annotations", Text, nullable=False, default="{}"),  # JSON
    Column("severity", String(50), nullable=False),
    Column("state", String(20), nullable=False),  # inactive, pending, firing, resolved, no_data
    Column("value", Float),
    Column("threshold", Float),
    Column("active_since", Float),  # first breach, epoch seconds of the data's clock
    Column("fired_at", Float),
    Column("resolved_at", Float),
    Column("last_breach_at", Float),  # for keep_firing_for
    Column("unmeasured_since", Float),  # NULL = the value is known
    Column("acknowledged_at", Float),
    Column("acknowledged_by", String(200)),
    Column("updated_at", Float, nullable=False),
)

alert_history = Table(
    "alert_history",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("fingerprint", String(64), nullable=False),
    Column("rule", String(200), nullable=False),
    Column("labels", Text, nullable=False),
    Column("severity", String(50), nullable=False),
    Column("from_state", String(20), nullable=False),
    Column("to_state", String(20), nullable=False),
    Column("at", Float, nullable=False),
    Column("value", Float),
    Column("threshold", Float),
    Column("summary", Text, nullable=False, default=""),
    Column("evidence", Text, nullable=False, default="{}"),  # JSON: window, filters, contributors
    Index("alert_history_by_time", "at"),
)

alert_groups = Table(
    "alert_groups",
    metadata,
    Column("key", String(64), primary_key=True),  # hash of route and group labels
    Column("route", String(200), nullable=False),
    Column("labels", Text, nullable=False),  # JSON: what the alerts of the group share
    Column("flush_at", Float),  # when to look at it next, epoch seconds; NULL = nothing to say
    Column("sent_at", Float),  # when it was last told; NULL = never
    Column("sent_alerts", Text, nullable=False, default="{}"),  # JSON: fingerprint -> fired_at told
    Column("sequence", Integer, nullable=False, default=0),  # notifications so far
)

silences = Table(
    "silences",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("matchers", Text, nullable=False),  # JSON: list of [label, operator, value]
    Column("starts_at", Float, nullable=False),
    Column("ends_at", Float, nullable=False),
    Column("author", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("matched", BigInteger, nullable=False, default=0),  # notifications held back so far
    Index("silences_by_end", "ends_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False, unique=True),  # deduplication: same key, same notice
    Column("channel", String(200), nullable=False),
    Column("group_key", String(64), nullable=False, default=""),  # sent in order within a group
    Column("payload", Text, nullable=False),  # JSON
    Column("created_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_at", Float, nullable=False),
    Column("delivered_at", Float),  # NULL = still to be sent
    Column("dead_at", Float),  # given up: a dead letter
    Column("error", Text),
    Index("outbox_due", "delivered_at", "next_attempt_at"),
)

alert_told = Table(  # who heard of an alert, on routes with escalation or people who take turns
    "alert_told",
    metadata,
    Column("group_key", String(64), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("fired_at", Float, nullable=False),  # of the firing that was told
    Column("told_at", Float, nullable=False),  # first time, epoch seconds; escalation counts on it
    Column("level", Integer, nullable=False),  # steps of escalation taken so far
    Column("channels", Text, nullable=False),  # JSON: they are told the end as well
)

on_call_overrides = Table(
    "on_call_overrides",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("rotation", String(200), nullable=False),
    Column("channel", String(200), nullable=False),
    Column("starts_at", Float, nullable=False),
    Column("ends_at", Float, nullable=False),
    Column("author", String(200), nullable=False),
    Index("on_call_overrides_by_end", "ends_at"),
)

maintenance_windows = Table(
    "maintenance_windows",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(200), nullable=False),
    Column("matchers", Text, nullable=False),  # JSON: list of [label, operator, value]; [] = all
    Column("starts_at", Float, nullable=False),
    Column("ends_at", Float),  # NULL = recurs until somebody ends it
    Column("recurs", Text),  # JSON: days and hours; NULL = once, from start to end
    Column("author", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)

alert_rules = Table(  # every version of every rule made on screen; the newest one counts
    "alert_rules",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("version", Integer, primary_key=True),  # from 1
    Column("source", Text),  # YAML of the one rule; NULL = deleted by this version
    Column("author", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
)

dashboards = Table(  # made by people; what each one is stands in its versions
    "dashboards",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("id", String(40), primary_key=True),
    Column("version", Integer, nullable=False),  # the newest one
    Column("title", String(200), nullable=False),  # of the newest version, for lists
    Column("folder", String(200), nullable=False, default=""),
    Column("description", Text, nullable=False, default=""),
    Column("created_by", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_by", String(200), nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("deleted_at", Float),  # NULL = it is there
)

dashboard_versions = Table(  # every save; nothing is ever changed or lost
    "dashboard_versions",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("dashboard", String(40), primary_key=True),
    Column("version", Integer, primary_key=True),  # from 1
    Column("definition", Text, nullable=False),  # JSON
    Column("author", String(200), nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("created_at", Float, nullable=False),
)

dashboard_marks = Table(  # what one person likes and looked at
    "dashboard_marks",
    metadata,
    Column("tenant", String(200), primary_key=True),
    Column("dashboard", String(40), primary_key=True),
    Column("person", String(200), primary_key=True),
    Column("favourite_at", Float),  # NULL = no favourite
    Column("viewed_at", Float),  # NULL = never
)

dashboard_links = Table(  # read-only links for people without an account
    "dashboard_links",
    metadata,
    Column("token_hash", String(64), primary_key=True),  # SHA-256; the token itself is kept nowhere
    Column("id", String(40), nullable=False, unique=True),  # to list and revoke it by
    Column("tenant", String(200), nullable=False),
    Column("dashboard", String(40), nullable=False),
    Column("version", Integer),  # NULL = the newest one
    Column("scope", Text, nullable=False),  # JSON: range, filters, what its maker may see
    Column("note", Text, nullable=False, default=""),
    Column("created_by", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("revoked_at", Float),
    Column("viewed_at", Float),
    Column("views", BigInteger, nullable=False, default=0),
    Index("dashboard_links_by_dashboard", "tenant", "dashboard"),
)

report_schedules = Table(
    "report_schedules",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("tenant", String(200), nullable=False),
    Column("audience", String(20), nullable=False),  # owner or consumer
    Column("name", String(200), nullable=False),  # whose report
    Column("period", String(10), nullable=False),  # day, week or month
    Column("zone", String(64), nullable=False),  # whose days, and of send_at
    Column("send_at", String(5), nullable=False),  # local time after the period's end, HH:MM
    Column("channel", String(200), nullable=False),  # of type email; '' = the only one
    Column("recipients", Text, nullable=False),  # JSON: addresses; [] = the channel's
    Column("formats", Text, nullable=False),  # JSON: pdf, csv
    Column("skip_empty", Integer, nullable=False),  # 1 = not sent when there was no request
    Column("author", String(200), nullable=False),
    Column("created_at", Float, nullable=False),  # periods that ended before are not sent
)

report_deliveries = Table(
    "report_deliveries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False, unique=True),  # one mail per schedule and period
    Column("schedule_id", Integer, nullable=False),
    Column("period_start", Float, nullable=False),  # epoch seconds
    Column("period_end", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_at", Float, nullable=False),
    Column("delivered_at", Float),  # NULL = still to be sent
    Column("skipped_at", Float),  # nothing to tell: no request in the period
    Column("dead_at", Float),  # given up
    Column("error", Text),
    Index("report_deliveries_due", "delivered_at", "next_attempt_at"),
)

import_positions = Table(
    "import_positions",
    metadata,
    Column("app_id", String(200), primary_key=True),  # of the file, as the lake knows it
    Column("position", BigInteger, primary_key=True),  # bytes read, uncompressed
    Column("identity", String(200), nullable=False),  # digest of the file's first bytes
    Column("digest", String(64), nullable=False),  # of all bytes before the position
    Column("lines", BigInteger, nullable=False),  # before the position
    Index("import_positions_by_identity", "identity"),
)


def open_state(settings: StorageSettings) -> Engine:
    """Open (and create where missing) the state store. Safe to call from several processes."""
    url = make_url(settings.resolved_state_url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = _engine(url)
    try:
        _make_missing(engine)
        migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def existing_state(settings: StorageSettings) -> Engine | None:
    """The state store as it is, to look at: nothing is made, tables of later versions may be
    missing. None = there is none."""
    url = make_url(settings.resolved_state_url)
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).exists()):
        return None
    return _engine(url)


def _engine(url: URL) -> Engine:
    engine = create_engine(url)
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
    return engine


def _make_missing(engine: Engine) -> None:
    """Make the tables that are not there. Processes that start at the same time look, and then
    make: what another one has made meanwhile is left as it is."""
    there = set(inspect(engine).get_table_names())
    for table in metadata.sorted_tables:
        if table.name in there:
            continue
        with engine.begin() as connection:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))


def _configure_sqlite(connection: object, _record: ConnectionPoolEntry) -> None:
    # WAL lets the dashboards read while the jobs write; the timeout waits out the other writer.
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
