from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from alerting.backtest import backtest
from alerting.build import build_alerting
from alerting.channels import deliver_to
from alerting.rules import parse_rules
from alerting.settings import AlertingSettings
from alerting.source import AnalyticsSource
from alerting.store import AlertStore
from analytics.query import Analytics
from storage.catalog import Catalog, Consumer, Plan, Product
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.alerting.world import quick_state, running_sink

START = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC).timestamp()


def rows(start: float, seconds: int, *, per_s: int = 10, error_share: float = 0.0, api="orders"):
    """Evenly spread requests of one API; every n-th fails."""
    times, outcomes, statuses, durations = [], [], [], []
    for i in range(seconds * per_s):
        bad = error_share > 0 and i % round(1 / error_share) == 0
        times.append(datetime.fromtimestamp(start + i / per_s, UTC))
        outcomes.append("server_error" if bad else "ok")
        statuses.append(503 if bad else 200)
        durations.append(20.0)
    n = len(times)
    return pa.table(
        {
            "time": pa.array(times, pa.timestamp("us", tz="UTC")),
            "tenant": ["default"] * n,
            "gateway": ["nginx"] * n,
            "api": [api] * n,
            "route": ["/orders/{id}"] * n,
            "consumer": ["acme"] * n,
            "method": ["GET"] * n,
            "status_code": pa.array(statuses, pa.int16()),
            "outcome": outcomes,
            "duration_ms": durations,
        }
    )


class Place:
    """A real lake, real analytics and a real receiver."""

    def __init__(self, folder, sink, catalog=None, **settings) -> None:
        storage = StorageSettings(data_dir=folder)
        self.lake = Lake(storage)
        self.state = quick_state(storage)
        self.session = ReadSession(self.lake)
        # the edges of a range that is days old are widened: these tests are not of that
        self.analytics = Analytics(self.session, clock=lambda: datetime.fromtimestamp(START, UTC))
        self.engine = build_alerting(
            AlertingSettings(**settings),
            self.state,
            self.analytics,
            catalog or Catalog(),
            delivery=deliver_to(sink.channel()),
            lake=self.lake,
        )
        self.version = 0

    def store(self, table: pa.Table) -> None:
        self.version += 1
        self.lake.table("requests").append(table, app_id="test", app_version=self.version)

    def close(self) -> None:
        self.engine.close()
        self.session.close()
        self.state.dispose()


@pytest.fixture
def sink():
    with running_sink() as sink:
        yield sink


def test_nothing_stored_yet_is_no_alert_and_no_error(tmp_path, sink):
    place = Place(tmp_path, sink)
    done = place.engine.evaluate_once(START)
    assert (done.at, dict(done.failed), done.changes) == (None, {}, ())
    place.close()


def test_incident_in_the_lake_reaches_the_receiver_within_thirty_seconds(tmp_path, sink):
    """Built-in rules, data committed every 2 s, rounds every 5 s: as at defaults."""
    place = Place(tmp_path, sink)
    place.store(rows(START - 120, 120))
    began, ended, now = START, None, START
    while now < START + 150 and not (ended and len(sink.received) >= 2):
        if int(now - START) % 2 == 0:
            sick = now < START + 20
            place.store(rows(now, 2, error_share=0.5 if sick else 0.0))
        now += 1.0
        if int(now - START) % 5 == 0:
            done = place.engine.evaluate_once(now)
            assert dict(done.failed) == {}
            place.engine.outbox.deliver_channel("sink", now)
        if sink.received and ended is None:
            ended = now
    assert ended is not None
    assert ended - began <= 30.0
    first, last = sink.notices[0], sink.notices[-1]
    assert (first["status"], last["status"]) == ("firing", "resolved")
    assert first["commonLabels"]["alertname"] == "api-error-ratio"
    assert "orders" in first["commonAnnotations"]["summary"]
    assert place.engine.evaluate_once(now + 1).took_s < 2.0
    place.close()


def test_consumer_near_its_quota_is_told_with_a_forecast(tmp_path, sink):
    catalog = Catalog(
        products=(Product(name="shop"),),
        plans=(Plan(name="small", product="shop", quota_per_month=1_000),),
        consumers=(Consumer(name="acme", plan="small"),),
    )
    place = Place(tmp_path, sink, catalog)
    place.store(rows(START - 95, 95))
    place.engine.evaluate_once(START)
    alerts = [a for a in AlertStore(place.state).active() if a.rule == "quota-nearly-used"]
    assert [a.summary for a in alerts] == ["acme has used 93.9 % of the month's quota"]
    assert "of 1,000 requests" in alerts[0].annotations["description"]
    place.close()


SQL_RULE = """
rules:
  - name: slow-consumers
    kind: sql
    group_by: [consumer]
    window: 2m
    condition: "> 10"
    query: |
      SELECT consumer, count(*) AS value FROM requests
      WHERE time >= $start AND time < $end AND status_code = 503 GROUP BY consumer
    annotations: {summary: "{consumer}: {value} times"}
"""


def test_sql_rule_asks_any_table_behind_the_guard(tmp_path, sink):
    (tmp_path / "rules.yaml").write_text(SQL_RULE)
    place = Place(tmp_path, sink, rules_path=tmp_path / "rules.yaml", builtin_rules=False)
    place.store(rows(START - 100, 100, error_share=0.5))
    done = place.engine.evaluate_once(START)
    assert dict(done.failed) == {}
    (alert,) = AlertStore(place.state).active()
    assert alert.summary == "acme: 495 times"
    place.close()


def test_sql_rule_that_would_write_is_refused_and_reported(tmp_path, sink):
    query = "DROP TABLE requests; -- $start $end"
    text = SQL_RULE.split("    query: |")[0] + f'    query: "{query}"\n'
    (tmp_path / "rules.yaml").write_text(text)
    place = Place(tmp_path, sink, rules_path=tmp_path / "rules.yaml", builtin_rules=False)
    place.store(rows(START - 100, 100))
    assert list(place.engine.evaluate_once(START).failed) == ["slow-consumers"]
    place.close()


BOTH_KINDS = """
rules:
  - {name: errors, measure: error_rate, group_by: [api], window: 1m, min_requests: 20,
     condition: "> 5%", for: 1m}
  - {name: rise, kind: change, measure: requests, group_by: [api], window: 5m, compare: 10m,
     condition: "> 50%", min_requests: 5}
"""


def test_backtest_of_all_windows_at_once_is_that_of_single_looks(tmp_path, sink):
    """Whole windows in one question, against the same rules asked look by look."""
    place = Place(tmp_path, sink)
    for minute in range(60):
        sick = 20 <= minute < 26 or minute == 40
        busy = 3 if minute in (30, 31, 32, 33, 34) else 1
        at = START - 3600 + minute * 60
        place.store(rows(at, 60, per_s=busy, error_share=0.2 if sick else 0.0))
        place.store(rows(at, 60, per_s=1, api="labels"))
    source = AnalyticsSource(place.analytics, Catalog(), tenant="default", lookback_s=60)
    for rule, window in zip(parse_rules(BOTH_KINDS), (60, 300), strict=True):
        (fast,) = backtest([rule], source, start=START - 3600, end=START)
        (slow,) = backtest([rule], OneByOne(source), start=START - 3600, end=START, step_s=window)
        assert fast.looked_every_s == window
        assert fast == slow
        assert [dict(page.labels)["api"] for page in fast.pages] == ["orders"]
        assert {dict(labels)["api"] for labels in fast.curves} == {"orders", "labels"}
    place.close()


class OneByOne:
    """A source that cannot give many windows at once."""

    def __init__(self, source):
        self._source = source

    def measure(self, *question):
        return self._source.measure(*question)
