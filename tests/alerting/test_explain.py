from __future__ import annotations

import random

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from alerting.events import export_events
from alerting.explain import Explainer, explain_alert, say_contributors
from alerting.point import Point
from alerting.rules import parse_rules
from alerting.source import CachedSource
from alerting.store import AlertStore
from analytics.query import Filters
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.alerting.world import START, FakeSource, make_world, outbox_rows

RULES = """
rules:
  - {name: errors, measure: error_rate, group_by: [api], condition: "> 5%"}
"""


def blame(name, start, end, filters, by):
    """93 of 100 errors come from one route, all from the api that fires."""
    if name == "error_rate":
        return [Point((("api", "orders"),), 0.2, 500)]
    assert filters.api == ("orders",)
    if by == ("route",):
        return [Point((("route", "/pay"),), 93.0, 93), Point((("route", "/get"),), 7.0, 7)]
    return []


def test_alert_says_what_makes_up_most_of_it(tmp_path):
    world = make_world(tmp_path, RULES)
    world.source.answer = blame
    world.engine._explain = Explainer(world.source)
    world.step()
    world.step()
    alert = AlertStore(world.state).active()[0]
    assert alert.annotations["contributors"] == "93% from route /pay"
    (row,) = outbox_rows(world.state)
    assert row["payload"]["alerts"][0]["annotations"]["contributors"] == "93% from route /pay"
    explained = explain_alert(world.state, alert.fingerprint[:8])
    assert explained.opening.evidence["contributors"][0]["name"] == "/pay"
    assert explained.opening.evidence["series"] == {"api": "orders"}
    assert explain_alert(world.state, "nosuch").opening is None


def test_failing_explanation_does_not_hold_the_alert_back(tmp_path):
    def fail(*_):
        raise RuntimeError("no time")

    world = make_world(tmp_path, RULES, explain=fail)
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    assert len(outbox_rows(world.state)) == 1


def test_slow_groups_explain_latency_only_when_there_is_a_choice():
    (rule,) = parse_rules("rules:\n  - {name: s, measure: p95_ms, condition: '> 1s'}")
    source = FakeSource()
    source.set("p95_ms", 3000.0, 400, route="/slow")
    source.set("p95_ms", 20.0, 600, route="/quick")
    source.set("p95_ms", 9000.0, 3, route="/rare")
    source.set("p95_ms", 3000.0, 1000, gateway="nginx")
    found = Explainer(source)(rule, (), START)
    assert say_contributors([c for c in found if c.name == "/slow"]) == "route /slow takes 3.00 s"
    assert {c.name for c in found} == {"/slow", "/quick"}


def test_events_reach_the_lake_once_whatever_is_repeated(tmp_path):
    world = make_world(tmp_path, RULES)
    lake = Lake(StorageSettings(data_dir=tmp_path))
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    assert export_events(world.state, lake) == 1
    assert export_events(world.state, lake) == 0
    world.source.set("error_rate", 0.0, api="orders")
    world.step()
    export_events(world.state, Lake(StorageSettings(data_dir=tmp_path)))
    session = ReadSession(lake)
    rows = session.query("SELECT rule, state, labels['api'] AS api FROM alert_events ORDER BY time")
    assert rows.to_pylist() == [
        {"rule": "errors", "state": "firing", "api": "orders"},
        {"rule": "errors", "state": "resolved", "api": "orders"},
    ]
    session.close()


@given(st.integers(0, 10**6), st.lists(st.sampled_from("abcd"), min_size=2, max_size=8))
def test_shared_questions_answer_as_single_ones_do(seed, apis):
    """Rules that differ only in a filter are answered from one question, with the same result."""
    rng = random.Random(seed)
    rows = [
        ({"api": a, "route": r}, rng.randint(1, 9))
        for a in "abc"
        for r in "xyz"
        if rng.random() < 0.7
    ]

    def answer(name, start, end, filters, by):
        kept = [
            row
            for row in rows
            if all(row[0][dimension] in values for dimension, values in filters.active())
        ]
        grouped = {}
        for labels, n in kept:
            key = tuple((b, labels[b]) for b in by)
            grouped[key] = grouped.get(key, 0) + n
        return [Point(key, float(n), n) for key, n in grouped.items()]

    source = FakeSource(answer=answer)
    cached = CachedSource(source)
    for by in (("route",), ("api",), ("api", "route")):
        for api in apis:
            question = ("errors", START - 60, START, Filters(api=(api,)), by)
            assert sorted(cached.measure(*question), key=repr) == sorted(
                answer(*question), key=repr
            )


def test_many_alike_rules_ask_few_questions():
    source = FakeSource(answer=lambda *_: [])
    cached = CachedSource(source)
    for i in range(1_000):
        cached.measure("errors", 0.0, 60.0, Filters(api=(f"a{i}",)), ("route",))
    assert source.asked == 2


def test_store_reads_nothing_from_an_empty_state(tmp_path):
    world = make_world(tmp_path, RULES)
    store = AlertStore(world.state)
    assert (store.active(), store.history(), store.notifications()) == ([], [], [])
    assert store.counts().firing == 0
    assert sa.inspect(world.state).has_table("silences")
