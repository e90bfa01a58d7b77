"""Rules about logs, spans, probes and Gatelens itself, on a real lake and a real state store."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import sqlalchemy as sa

from alerting.build import build_alerting
from alerting.channels import deliver_to
from alerting.errors import ConfigInvalid
from alerting.limits import COLLECTOR_REMEMBERED_S
from alerting.match_sql import RowMatch, log_query
from alerting.rules import parse_rules
from alerting.settings import AlertingSettings
from alerting.store import AlertStore
from analytics.query import Analytics
from storage.catalog import Catalog
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from storage.state import job_runs
from storage.state_collectors import collector_stretches
from storage.stuck_commit import StuckCommit, clear_stuck, write_stuck
from tests.alerting.world import quick_state

START = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC).timestamp()


class Place:
    """A real lake without requests: only rules that need none judge here."""

    def __init__(self, folder, rules: str = "") -> None:
        storage = StorageSettings(data_dir=folder)
        path = folder / "rules.yaml"
        path.write_text(rules or "rules: []")
        self.lake = Lake(storage)
        self.state = quick_state(storage)
        self.session = ReadSession(self.lake)
        self.engine = build_alerting(
            AlertingSettings(rules_path=path, builtin_rules=not rules),
            self.state,
            Analytics(self.session),
            Catalog(),
            delivery=deliver_to(),
            lake=self.lake,
        )

    def store(self, table: str, *rows: dict) -> None:
        version = (self.lake.table(table).app_version("test") or 0) + 1
        schema = self.lake.table(table).spec.arrow_schema
        full = [
            {"time": datetime.fromtimestamp(START - 10, UTC), "tenant": "default", **row}
            for row in rows
        ]
        kept = pa.schema([f for f in schema if any(f.name in row for row in full)])
        self.lake.table(table).append(
            pa.Table.from_pylist(full, schema=kept), app_id="test", app_version=version
        )

    def alerts(self, at: float = START) -> list[tuple[str, dict, str]]:
        done = self.engine.evaluate_once(at)
        assert dict(done.failed) == {}
        own = ("alertname", "severity")
        return [
            (a.rule, {k: v for k, v in a.labels.items() if k not in own}, a.summary)
            for a in AlertStore(self.state, clock=lambda: at).active()
        ]

    def evidence(self) -> dict:
        return dict(AlertStore(self.state).history()[0].evidence)

    def close(self) -> None:
        self.engine.close()
        self.session.close()
        self.state.dispose()


@pytest.fixture
def place(tmp_path):
    made = []

    def make(rules: str = "") -> Place:
        made.append(Place(tmp_path, rules))
        return made[-1]

    yield make
    for one in made:
        one.close()


LOGS = """
rules:
  - name: panics
    kind: log_match
    match: {contains: "PANIC: it's", service: [payments, orders], severity: error}
    group_by: [service_name]
    condition: "> 1"
    annotations: {summary: "{service_name}: {value}"}
"""


def test_log_match_counts_what_matches_per_service(place):
    here = place(LOGS)
    hit = {"body": "panic: it's dead", "severity_number": 17, "service_name": "payments"}
    here.store("logs", hit, hit, {**hit, "severity_number": 9}, {**hit, "body": "fine"},
               {**hit, "service_name": "billing"}, {**hit, "service_name": "orders"})  # fmt: skip
    assert here.alerts() == [("panics", {"service_name": "payments"}, "payments: 2 records")]
    assert here.evidence()["requests_url"].startswith("http://127.0.0.1:8050/logs?q=PANIC")


def test_log_match_ends_when_nothing_matches_any_more(place):
    here = place(LOGS)
    hit = {"body": "panic: it's dead", "severity_number": 17, "service_name": "payments"}
    here.store("logs", hit, hit)
    assert len(here.alerts()) == 1
    assert here.alerts(START + 400) == []


def test_pattern_and_attributes_are_bound_not_written_in(place):
    here = place("""
rules:
  - name: r
    kind: log_match
    match: {pattern: "order [0-9]+ lost", attributes: {"k'--": "v'; DROP TABLE logs"}}
    condition: "> 0"
""")
    attributes = [("k'--", "v'; DROP TABLE logs")]
    here.store("logs", {"body": "order 17 lost", "attributes": attributes},
               {"body": "order x lost", "attributes": attributes})  # fmt: skip
    assert here.alerts() == [("r", {}, "r: 1 records")]
    query, params = log_query(RowMatch(contains="'; DROP"), ())
    assert "DROP" not in query
    assert params == {"p0": "'; DROP"}


def test_trace_match_finds_slow_failed_spans(place):
    here = place("""
rules:
  - name: slow-charges
    kind: trace_match
    match: {contains: charge, status: error, slower_than: 2s}
    group_by: [service_name]
    condition: ">= 1"
""")
    span = {"name": "Charge card", "status": "ERROR", "duration_ns": 3_000_000_000,
            "service_name": "payments"}  # fmt: skip
    here.store("spans", span, {**span, "status": "OK"}, {**span, "duration_ns": 1_000_000})
    assert here.alerts() == [
        ("slow-charges", {"service_name": "payments"}, "slow-charges payments: 1 spans")
    ]
    assert "/traces?q=charge&errors=1&ms=2000&" in here.evidence()["requests_url"]


def test_probes_are_judged_by_their_newest_value_where_there_are_any(place):
    here = place()
    up = {"name": "gatelens.probe.up", "attributes": [("target", "https://shop")]}
    then = datetime.fromtimestamp(START - 60, UTC)
    here.store("metrics", {**up, "value": 0.0, "time": then}, {**up, "value": 1.0},
               {**up, "value": 1.0, "time": then, "attributes": [("target", "https://api")]},
               {**up, "value": 0.0, "attributes": [("target", "https://api")]},
               {"name": "gatelens.probe.certificate_expiry_s", "value": 200_000.0,
                "attributes": [("target", "https://shop")]})  # fmt: skip
    here.alerts()
    assert sorted(here.alerts(START + 31)) == [
        ("certificate-expires", {"target": "https://shop"},
         "The certificate of https://shop ends in 2 d 7 h"),
        ("target-down", {"target": "https://api"}, "https://api does not answer its probe"),
    ]  # fmt: skip


def run(at, job="usage_minute", error=None, lag=1.0):
    return {"job": job, "started_at": at - 1, "finished_at": at, "error": error, "lag_s": lag}


def test_failing_job_is_an_alert_although_no_request_arrives(place):
    here = place()
    rows = [run(START - 100 + i, error="disk") for i in range(3)] + [run(START - 9, job="compact")]
    with here.state.begin() as connection:
        connection.execute(sa.insert(job_runs), rows)
    (alert,) = here.alerts()
    assert alert[:2] == ("gatelens-job-failing", {"job": "usage_minute"})
    assert alert[2].startswith("The job usage_minute failed: 3 runs in 10 min")
    assert here.evidence()["chart_url"] == "http://127.0.0.1:8050/operate"


@pytest.mark.parametrize(("signal", "value"), [("job_lag_s", 300.0), ("job_silence_s", 39.0)])
def test_lag_and_silence_of_jobs_are_measured(place, signal, value):
    here = place(f"""
rules:
  - {{name: r, kind: pipeline, signal: {signal}, condition: "> 10"}}
""")
    with here.state.begin() as connection:
        connection.execute(sa.insert(job_runs), [run(START - 60), run(START - 40, lag=300.0)])
    here.alerts()
    (alert,) = AlertStore(here.state).active()
    assert (alert.value, dict(alert.labels)["job"]) == (value, "usage_minute")


def test_refused_records_are_told_by_source_and_reason(place):
    here = place("""
rules:
  - {name: r, kind: pipeline, signal: rejects, condition: "> 1"}
""")
    here.store("rejects", *[{"source": "nginx", "reason": "bad line"}] * 2,
               {"source": "nginx", "reason": "bad time"})  # fmt: skip
    assert [a[1] for a in here.alerts()] == [{"source": "nginx", "reason": "bad line"}]


def test_free_disk_is_a_share(place):
    here = place("""
rules:
  - {name: r, kind: pipeline, signal: disk_free, condition: "< 101%"}
""")
    here.alerts()
    (alert,) = AlertStore(here.state).active()
    assert alert.value is not None
    assert 0 < alert.value < 1


def test_a_stuck_commit_is_told_by_its_age_and_ends_with_it(place):
    here = place()
    log = here.lake.settings.data_dir / "wal"
    log.mkdir(parents=True)

    def told(at):
        here.alerts(at)
        active = AlertStore(here.state, clock=lambda: at).active()
        return [a for a in active if a.rule == "gatelens-commits-failing"]

    assert told(START) == []
    write_stuck(log, StuckCommit(START - 80, START - 90, 5, 12, "OSError: no space"))
    (alert,) = told(START + 60)
    assert alert.value == pytest.approx(150, abs=10)
    clear_stuck(log)
    assert told(START + 120) == []


def test_that_no_collector_takes_data_is_told_for_a_day(place):
    here = place()

    def told(at):
        here.alerts(at)
        active = AlertStore(here.state, clock=lambda: at).active()
        return [a.value for a in active if a.rule == "gatelens-no-collector"]

    assert told(START) == []  # none ever did: data is imported
    with here.state.begin() as connection:
        connection.execute(
            sa.insert(collector_stretches).values(collector="c", since=START - 500, until=START)
        )
    assert told(START + 100) == []
    (silent,) = told(START + 300)
    assert silent == pytest.approx(300, abs=10)
    with here.state.begin() as connection:
        connection.execute(
            sa.insert(collector_stretches).values(
                collector="c", since=START + 310, until=START + 400
            )
        )
    assert told(START + 410) == []
    assert told(START + 400 + COLLECTOR_REMEMBERED_S + 60) == []


def test_empty_lake_is_no_alert(place):
    assert [a for a in place().alerts() if a[0] != "gatelens-disk-nearly-full"] == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{name: r, kind: log_match, condition: '> 1'}", "lacks 'match'"),
        ("{name: r, kind: log_match, match: {status: error}, condition: '> 1'}", "has no field"),
        ("{name: r, kind: log_match, match: {pattern: '(?=x)'}, condition: '> 1'}", "cannot be"),
        ("{name: r, kind: log_match, match: {}, group_by: [api], condition: '> 1'}", "cannot have"),
        ("{name: r, kind: trace_match, match: {status: bad}, condition: '> 1'}", "cannot be 'bad'"),
        ("{name: r, kind: probe, probe: upp, condition: '< 1'}", "Did you mean 'up'"),
        ("{name: r, kind: pipeline, signal: lag, condition: '> 1'}", "cannot be 'lag'"),
        ("{name: r, kind: pipeline, signal: rejects, filters: {api: x}, condition: '> 1'}",
         "take no filters"),
    ],
)  # fmt: skip
def test_mistakes_in_rules_about_rows_are_told(rule, said):
    with pytest.raises(ConfigInvalid, match=said.replace("(", r"\(")):
        parse_rules(f"rules:\n  - {rule}\n")


def test_nothing_a_rule_says_becomes_sql(place, monkeypatch):
    """Whatever is typed into a rule reaches the lake as a bound value. Measures with such names
    are in tests/analytics (hostile.py)."""
    evil = "x'\"; DROP TABLE requests; --"
    said = json.dumps(evil)
    match = (
        f"{{contains: {said}, service: [{said}], environment: [{said}],"
        f" attributes: {{{said}: {said}}}}}"
    )
    kinds = [
        f"kind: log_match, match: {match}, group_by: [service_name]",
        f"kind: trace_match, match: {match}, group_by: [name]",
        f"kind: log_match, match: {{pattern: {said}}}",
    ]
    here = place("rules:\n" + "".join(
        f'  - {{name: r{n}, {kind}, condition: "> 0", owner: {said}, labels: {{a: {said}}},'
        f" annotations: {{summary: {said}}}}}\n" for n, kind in enumerate(kinds)
    ))  # fmt: skip
    here.store("logs", {"body": evil, "service_name": evil})
    asked = []
    real = ReadSession.query

    def query(self, sql, params=(), **more):
        asked.append((sql, repr(params)))
        return real(self, sql, params, **more)

    monkeypatch.setattr(ReadSession, "query", query)
    done = here.engine.evaluate_once(START)
    assert dict(done.failed) == {}
    assert not any("DROP TABLE" in sql for sql, _ in asked)
    bound = [sql for sql, params in asked if "DROP TABLE" in params]
    assert all(any(table in sql for sql in bound) for table in ("logs", "spans"))
    assert [name for name, _, _ in here.alerts()] == ["r2"]
