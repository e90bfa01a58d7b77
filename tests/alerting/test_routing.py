"""Routes, grouping, inhibition, silences and their rhythm, in virtual time through the engine."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerting.channels import load_delivery, parse_delivery
from alerting.errors import ConfigInvalid, SilenceInvalid
from alerting.matchers import Matcher, parse_matcher
from alerting.point import Point
from alerting.store import AlertStore
from alerting.time_intervals import TimeInterval, parse_times, parse_weekdays
from tests.alerting.world import START, make_world, outbox_rows

RULES = """
rules:
  - {name: errors, measure: error_rate, group_by: [api], condition: "> 5%", severity: critical}
  - {name: slow, measure: p95_ms, group_by: [api], condition: "> 1s", severity: warning}
"""
CHANNELS = """
channels:
  - {name: pager, type: webhook, url: "https://pager.example/"}
  - {name: chat, type: webhook, url: "https://chat.example/"}
"""


def make(folder: Path, routing: str = ""):
    return make_world(folder, RULES, parse_delivery(CHANNELS + routing))


def told(world):
    """(seconds since start, channel, firing apis, resolved apis) of every notification."""
    found = []
    for row in outbox_rows(world.state):
        by_status = {"firing": [], "resolved": []}
        for alert in row["payload"]["alerts"]:
            by_status[alert["status"]].append(alert["labels"].get("api"))
        found.append((row["created_at"] - START, row["channel"], by_status["firing"],
                      by_status["resolved"]))  # fmt: skip
    return found


def test_without_a_route_every_channel_hears_everything(tmp_path):
    world = make(tmp_path)
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    assert told(world) == [(5, "pager", ["orders"], []), (5, "chat", ["orders"], [])]


def test_matching_and_continue(tmp_path):
    world = make(tmp_path, """
route:
  channels: [chat]
  routes:
    - {match: [severity=critical], channels: [pager], continue: true}
    - {match: ['api=~"or.*"'], channels: [chat]}
""")  # fmt: skip
    world.source.set("error_rate", 0.2, api="orders")
    world.source.set("error_rate", 0.2, api="billing")
    world.source.set("p95_ms", 2000.0, api="billing")
    world.step()
    assert sorted((t, c, sorted(f), r) for t, c, f, r in told(world)) == [
        (5, "chat", ["billing"], []),
        (5, "chat", ["orders"], []),
        (5, "pager", ["billing", "orders"], []),
    ]


def test_group_wait_interval_and_repeat(tmp_path):
    world = make(tmp_path, """
route: {channels: [chat], group_wait: 20s, group_interval: 60s, repeat_interval: 1h}
""")  # fmt: skip
    world.source.set("error_rate", 0.2, api="a")
    world.step()
    world.source.set("error_rate", 0.2, api="b")
    for _ in range(6):
        world.step()  # a and b are told together, 20 s after a fired
    world.source.set("error_rate", 0.2, api="c")
    world.source.set("error_rate", 0.0, api="a")
    for _ in range(12):
        world.step()  # the change waits for the group's interval
    for _ in range(150):
        world.step(30.0)
    assert [(t, sorted(f), r) for t, _, f, r in told(world)] == [
        (25, ["a", "b"], []),
        (85, ["b", "c"], ["a"]),
        (3695, ["b", "c"], []),  # the first look after the repeat interval
    ]


def test_flapping_within_the_interval_is_not_told_twice(tmp_path):
    world = make(tmp_path, "route: {channels: [chat], group_interval: 5m}")
    for i in range(61):
        world.source.set("error_rate", 0.2 if i % 2 == 0 else 0.0, api="a")
        world.step()
    assert len(told(world)) <= 3


def test_inhibition_keeps_the_lesser_alert_quiet_only_for_the_same_api(tmp_path):
    world = make(tmp_path, """
route: {channels: [chat]}
inhibit:
  - {source: [severity=critical], target: [severity=warning], equal: [api]}
""")  # fmt: skip
    world.source.set("error_rate", 0.2, api="orders")
    world.source.set("p95_ms", 2000.0, api="orders")
    world.source.set("p95_ms", 2000.0, api="billing")
    done = world.step()
    assert done.suppressed == 1
    assert sorted(f for _, _, f, _ in told(world)) == [["billing"], ["orders"]]
    world.source.set("error_rate", 0.0, api="orders")
    world.step()
    assert sorted(sorted(f) for _, _, f, _ in told(world)[2:]) == [[], ["billing", "orders"]]


def test_silence_holds_back_and_lets_the_rest_through(tmp_path):
    world = make(tmp_path, "route: {channels: [chat]}")
    store = AlertStore(world.state, clock=lambda: world.now)
    store.silence(["api=orders"], author="ann", reason="deploy", duration_s=60)
    world.source.set("error_rate", 0.2, api="orders")
    world.source.set("error_rate", 0.2, api="billing")
    world.step()
    assert told(world) == [(5, "chat", ["billing"], [])]
    silenced = {a.labels["api"]: a.silenced_by for a in store.active()}
    assert silenced == {"billing": (), "orders": (1,)}
    assert store.silences()[0].matched == 1
    for _ in range(12):
        world.step()  # the silence ends at 60 s, the alert still fires: now it is told
    assert [(t, sorted(f)) for t, _, f, _ in told(world)[1:]] == [(60, ["billing", "orders"])]


def test_alert_told_before_its_silence_is_still_told_resolved(tmp_path):
    world = make(tmp_path, "route: {channels: [chat]}")
    store = AlertStore(world.state, clock=lambda: world.now)
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    number = store.silence(["api=orders"], author="ann", reason="known", duration_s=3600)
    assert store.silences()[0].matched == 1
    world.step()
    world.source.set("error_rate", 0.0, api="orders")
    world.step()
    assert told(world) == [(5, "chat", ["orders"], []), (15, "chat", [], ["orders"])]
    assert store.end_silence(number)
    assert store.silences() == []
    assert not store.end_silence(number)


@pytest.mark.parametrize(
    ("matchers", "seconds"),
    [([], 60), (["api=~.*"], 60), (["api="], 60), (["api"], 60), (["api=~("], 60),
     (["api=a"], 0), (["api=a"], 10**8)],
)  # fmt: skip
def test_silences_without_sense_are_refused(tmp_path, matchers, seconds):
    store = AlertStore(make(tmp_path).state, clock=lambda: START)
    with pytest.raises(SilenceInvalid):
        store.silence(matchers, author="ann", reason="x", duration_s=seconds)


def test_acknowledged_alert_is_not_repeated_and_a_new_firing_is_told(tmp_path):
    world = make(tmp_path, "route: {channels: [chat], repeat_interval: 1m}")
    store = AlertStore(world.state, clock=lambda: world.now)
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    assert store.acknowledge(store.active()[0].fingerprint, by="ann")
    assert not store.acknowledge("unknown", by="ann")
    for _ in range(60):
        world.step()
    assert len(told(world)) == 1
    assert store.active()[0].acknowledged_by == "ann"
    world.source.set("error_rate", 0.0, api="orders")
    world.step()
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    assert store.active()[0].acknowledged_by is None
    assert [f for _, _, f, _ in told(world)] == [["orders"], [], ["orders"]]


def test_acknowledgement_during_a_round_is_kept(tmp_path):
    world = make(tmp_path)
    store = AlertStore(world.state, clock=lambda: world.now)
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    (alert,) = store.active()

    def answer(name, start, end, filters, by):
        store.acknowledge(alert.fingerprint, by="ann")  # after the round read the alerts
        return [Point((("api", "orders"),), 0.3, 100)] if name == "error_rate" else []

    world.source.answer = answer
    world.step()
    assert (store.active()[0].value, store.active()[0].acknowledged_by) == (0.3, "ann")


def test_muted_hours_hold_firing_back_until_they_end(tmp_path):
    world = make(tmp_path, """
route: {channels: [chat], mute_during: [now]}
time_intervals:
  - {name: now, times: ["HOURS"]}
""".replace("HOURS", _window(START, 10)))  # fmt: skip
    world.source.set("error_rate", 0.2, api="orders")
    for _ in range(4):
        world.step(60.0)
    assert told(world) == []
    for _ in range(10):
        world.step(60.0)
    assert len(told(world)) == 1


def _window(at, minutes):
    start = datetime.fromtimestamp(at, UTC)
    begin = start.hour * 60 + start.minute
    end = (begin + minutes) % 1440
    return f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"


def test_new_channels_file_closes_groups_of_the_old_routes(tmp_path):
    world = make(tmp_path, "route: {channels: [pager], group_by: [alertname]}")
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    new = parse_delivery(CHANNELS + "route: {channels: [chat], group_by: [api]}")
    world.restart(delivery=new)
    world.step()
    assert (10, "chat", ["orders"], []) in told(world)


def test_storm_of_alerts_is_grouped_and_capped(tmp_path):
    world = make(tmp_path, "route: {channels: [chat]}")
    for i in range(2_000):
        world.source.set("error_rate", 0.2, api=f"api-{i}")
    world.step()
    (row,) = outbox_rows(world.state)
    assert (len(row["payload"]["alerts"]), row["payload"]["truncatedAlerts"]) == (100, 1_900)
    assert world.step().notices == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channels:\n  - {name: a, type: slak, url: 'env:X'}", "Did you mean 'slack'?"),
        ("channels:\n  - {name: a, type: slack, url: 'https://h.example/x'}", "is a secret"),
        (CHANNELS.replace("webhook", "webhook, secret: abc", 1), "must not be in the file"),
        ("channels:\n  - {name: a, type: webhook}", "needs 'url'"),
        ("channels:\n  - {name: a, type: email, to: [x@example.com]}", "needs 'smtp_host'"),
        ("channels:\n  - {name: a, type: webhook, url: 'ftp://x'}", "not an https URL"),
        (CHANNELS + "route: {channels: [pagr]}", "Did you mean 'pager'?"),
        (CHANNELS + "route: {routes: [{match: ['a~b']}]}", "is no matcher"),
        (CHANNELS + "route: {mute_during: [x]}", "No time interval is called 'x'"),
        (CHANNELS + "time_intervals: [{name: x, time_zone: Mars/One}]", "no time zone"),
        (CHANNELS + "time_intervals: [{name: x, times: ['25:00-26:00']}]", "no time of day"),
        (CHANNELS + "inhibit: [{source: [a=b]}]", "needs 'source' and 'target'"),
    ],
)  # fmt: skip
def test_mistakes_in_channel_files(text, said):
    with pytest.raises(ConfigInvalid) as caught:
        parse_delivery(text)
    assert said in str(caught.value)


def test_no_channels_file_means_no_channels():
    assert dict(load_delivery(None).channels) == {}


def test_time_intervals_follow_the_clock_of_their_zone():
    nights = TimeInterval("n", parse_weekdays("monday:friday"), (parse_times("22:00-06:00"),),
                          zone="Europe/Berlin")  # fmt: skip

    def at(text):
        return nights.contains(datetime.fromisoformat(text).timestamp())

    assert at("2026-11-20T21:30:00+00:00")  # 22:30 in Berlin, a Friday
    assert not at("2026-11-20T20:30:00+00:00")
    assert at("2026-07-17T20:30:00+00:00")  # summer time: 22:30
    assert not at("2026-11-21T23:00:00+00:00")  # Sunday there


def test_matchers():
    labels = {"api": "orders-v2", "team": "core"}
    for text, expected in [
        ("api=orders-v2", True), ("api!=orders-v2", False), ('api=~"orders-.*"', True),
        ("api=~orders", False), ("api!~orders", True), ("missing=", True), ("missing!=x", True),
    ]:  # fmt: skip
        assert parse_matcher(text).matches(labels) is expected, text


def test_no_pattern_takes_longer_than_its_text():
    """In Python's `re`, minutes and more; a round of the engine waits for each."""
    labels = {"route": "a" * 500 + "!"}
    started = time.monotonic()
    for pattern in ("(a+)+b", "(a|a)*b", "(.*.*)*x", "(a?){100}a{100}!"):
        parse_matcher(f"route=~{pattern}").matches(labels)
    assert time.monotonic() - started < 5
    for pattern in ("a)|(b", "(?=a)", r"(a)\1", "["):
        with pytest.raises(ValueError, match="is not one"):
            parse_matcher(f"route=~{pattern}")


def test_a_pattern_that_cannot_be_read_any_more_quietens_nothing():
    for operator in ("=~", "!~"):
        assert not Matcher("route", operator, "(?=a)").matches({"route": "a"})
