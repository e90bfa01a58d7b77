"""Escalation, rotations and who hears of an end, in virtual time through the engine."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.channels import parse_delivery
from alerting.errors import ConfigInvalid, OnCallInvalid
from alerting.on_call import Override, Rotation
from alerting.store import AlertStore
from tests.alerting.world import START, make_world, outbox_rows

RULES = """
rules:
  - {name: errors, measure: error_rate, group_by: [api], condition: "> 5%", severity: critical}
"""
CHANNELS = """
channels:
  - {name: ana, type: webhook, url: "https://ana.example/"}
  - {name: ben, type: webhook, url: "https://ben.example/"}
  - {name: boss, type: webhook, url: "https://boss.example/"}
rotations:
  - {name: duty, channels: [ana, ben], starts: "2026-09-14 09:00", time_zone: Europe/Berlin}
"""
ESCALATE = """
route:
  channels: [ana]
  escalate:
    - {after: 15m, channels: [ben]}
    - {after: 30m, channels: [boss]}
"""
MONDAY = datetime.fromisoformat("2026-09-14 09:00")


def make(folder, routing):
    return make_world(folder, RULES, parse_delivery(CHANNELS + routing))


def store_of(world):
    return AlertStore(world.state, clock=lambda: world.now, delivery=world.engine.delivery)


def told(world):
    """(minutes since start, channel, status) of every notification."""
    return [
        (round((row["created_at"] - START) / 60), row["channel"], row["payload"]["status"])
        for row in outbox_rows(world.state)
    ]


def fire(world):
    world.source.set("error_rate", 0.2, api="orders")
    world.step()


def go_on(world, minutes):
    for _ in range(minutes):
        world.step(60.0)


def test_alert_nobody_takes_goes_up_step_by_step_once_each(tmp_path):
    world = make(tmp_path, ESCALATE)
    fire(world)
    for _ in range(60):
        world.step(60.0)
        world.restart()
    assert told(world) == [(0, "ana", "firing"), (15, "ben", "firing"), (30, "boss", "firing")]
    notice = outbox_rows(world.state)[1]["payload"]["alerts"][0]
    assert notice["annotations"]["escalation"] == (
        "Nobody acknowledged this within 15 min (step 1)."
    )
    assert store_of(world).active()[0].escalation_level == 2


def test_everybody_who_heard_hears_the_end(tmp_path):
    world = make(tmp_path, ESCALATE)
    fire(world)
    go_on(world, 20)
    world.source.set("error_rate", 0.0, api="orders")
    world.step()
    assert told(world)[2:] == [(20, "ana", "resolved"), (20, "ben", "resolved")]
    assert "escalation" not in outbox_rows(world.state)[-1]["payload"]["alerts"][0]["annotations"]


def test_acknowledging_stops_the_escalation(tmp_path):
    world = make(tmp_path, ESCALATE)
    fire(world)
    go_on(world, 16)
    (alert,) = store_of(world).active()
    store_of(world).acknowledge(alert.fingerprint, by="ben")
    go_on(world, 60)
    assert [channel for _, channel, _ in told(world)] == ["ana", "ben"]


def test_new_incident_starts_at_the_first_step_again(tmp_path):
    world = make(tmp_path, ESCALATE)
    fire(world)
    go_on(world, 35)
    world.source.set("error_rate", 0.0, api="orders")
    world.step()
    before = len(told(world))
    fire(world)
    go_on(world, 16)
    assert [(c, s) for _, c, s in told(world)[before:]] == [("ana", "firing"), ("ben", "firing")]


def test_silenced_alert_does_not_go_up(tmp_path):
    world = make(tmp_path, ESCALATE)
    fire(world)
    store_of(world).silence(["api=orders"], author="ana", reason="known", duration_s=3_600)
    go_on(world, 40)
    assert "boss" not in [channel for _, channel, _ in told(world)]


def test_steps_added_while_an_alert_fires_count_from_then(tmp_path):
    world = make(tmp_path, "route: {channels: [ana]}")
    fire(world)
    go_on(world, 60)
    world.restart(delivery=parse_delivery(CHANNELS + ESCALATE))
    go_on(world, 14)
    assert len(told(world)) == 1
    go_on(world, 3)
    assert told(world)[1][1:] == ("ben", "firing")


def test_rotation_is_told_by_whoever_has_the_turn_and_ends_reach_who_was_told(tmp_path):
    world = make(tmp_path, "route: {channels: [duty]}")
    # Monday 21 September, 08:59 in Berlin: ana still has it for a minute
    world.now = datetime(2026, 9, 21, 6, 59, tzinfo=UTC).timestamp()
    fire(world)
    go_on(world, 2)
    world.source.set("error_rate", 0.0, api="orders")
    world.step()
    assert [(c, s) for _, c, s in told(world)] == [
        ("ana", "firing"), ("ben", "resolved"), ("ana", "resolved"),
    ]  # fmt: skip


def test_stand_in_is_told_instead(tmp_path):
    world = make(tmp_path, "route: {channels: [duty]}")
    store = store_of(world)
    whose = store.on_call()["duty"]
    other = {"ana": "ben", "ben": "ana"}[whose]
    wrong = {"author": "ana", "starts_at": START, "ends_at": START + 3_600}
    store.stand_in("duty", other, **wrong)
    assert store.on_call()["duty"] == other
    fire(world)
    assert [channel for _, channel, _ in told(world)] == [other]
    with pytest.raises(OnCallInvalid, match="No channel is called 'eve'"):
        store.stand_in("duty", "eve", **wrong)
    with pytest.raises(OnCallInvalid, match="No rotation"):
        store.stand_in("night", "ana", **wrong)


def test_handover_stays_at_nine_over_the_change_of_summer_time():
    duty = Rotation(
        "duty", ("ana", "ben"), datetime.fromisoformat("2026-10-19 09:00"), zone="Europe/Berlin"
    )
    zone = ZoneInfo("Europe/Berlin")
    handover = datetime(2026, 10, 26, 9, 0, tzinfo=zone).timestamp()  # clocks went back on the 25th
    assert duty.channel_at(handover - 1) == "ana"
    assert duty.channel_at(handover) == "ben"


def test_latest_override_counts_and_ends():
    duty = Rotation("duty", ("ana",), MONDAY)
    first = Override("duty", "ben", START, START + 100, id=1)
    later = Override("duty", "boss", START + 50, START + 60, id=2)
    at = [duty.channel_at(START + s, (first, later)) for s in (-1, 0, 55, 60, 100)]
    assert at == ["ana", "ben", "boss", "ben", "ana"]


@settings(max_examples=30, deadline=None)
@given(st.integers(-2_000, 2_000), st.integers(1, 5))
def test_turns_go_round_in_order(weeks, people):
    names = tuple(f"p{i}" for i in range(people))
    duty = Rotation("duty", names, MONDAY)
    start = datetime(2026, 9, 14, 9, 0, tzinfo=UTC).timestamp()
    assert duty.channel_at(start + weeks * 604_800) == names[weeks % people]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("route: {channels: [nobody]}", "'channels' cannot have 'nobody'"),
        ("route: {escalate: [{channels: [ana]}]}", "needs 'after' and 'channels'"),
        ("route: {escalate: [{after: 5m, channels: [eve]}]}", "cannot have 'eve'"),
    ],
)
def test_mistakes_about_people_are_told(text, said):
    with pytest.raises(ConfigInvalid, match=said):
        parse_delivery(CHANNELS + text)


@pytest.mark.parametrize(
    ("rotation", "said"),
    [
        ('{name: ana, channels: [ben], starts: "2026-09-14 09:00"}', "is a channel and a rotation"),
        ('{name: d, channels: [], starts: "2026-09-14 09:00"}', "needs channels that take turns"),
        ("{name: d, channels: [ben], starts: monday}", "'monday' is no time"),
        ('{name: d, channels: [ben], starts: "2026-09-14T09:00Z"}', "has a zone of its own"),
    ],
)
def test_mistakes_in_rotations_are_told(rotation, said):
    text = CHANNELS.split("rotations:")[0] + f"rotations:\n  - {rotation}\n"
    with pytest.raises(ConfigInvalid, match=said):
        parse_delivery(text)
