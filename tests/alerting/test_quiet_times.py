"""Maintenance windows, flapping alerts, and the warning before a silence ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alerting.channels import parse_delivery
from alerting.errors import ConfigInvalid, MaintenanceInvalid
from alerting.limits import FLAPPING_CALM_S, FLAPPING_OPENS
from alerting.store import AlertStore
from alerting.time_intervals import TimeInterval
from tests.alerting.world import START, make_world, outbox_rows

RULES = """
rules:
  - {name: errors, measure: error_rate, group_by: [api], condition: "> 5%", severity: critical}
"""
CHANNELS = """
channels:
  - {name: chat, type: webhook, url: "https://chat.example/"}
"""
RECURRING = """
maintenance:
  - {name: deploys, match: [api=orders], during: [tuesdays], reason: releases}
time_intervals:
  - {name: tuesdays, weekdays: [tuesday], times: ["09:00-10:00"], time_zone: Europe/Berlin}
"""


def make(folder, text=""):
    return make_world(folder, RULES, parse_delivery(CHANNELS + text))


def store_of(world):
    return AlertStore(world.state, clock=lambda: world.now, delivery=world.engine.delivery)


def told(world):
    return [row["payload"]["status"] for row in outbox_rows(world.state)]


def test_one_off_maintenance_holds_notices_back_and_what_lasts_is_told(tmp_path):
    world = make(tmp_path)
    window = {"author": "ana", "reason": "upgrade", "ends_at": START + 600}
    store_of(world).add_maintenance("upgrade", ["api=orders"], **window)
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    (alert,) = store_of(world).active()
    assert (alert.state, alert.maintenance, told(world)) == ("firing", ("upgrade",), [])
    world.step(601.0)
    assert told(world) == ["firing"]
    assert store_of(world).maintenance() == []


def test_maintenance_of_one_api_leaves_the_others_loud(tmp_path):
    world = make(tmp_path)
    store = store_of(world)
    number = store.add_maintenance(
        "upgrade", ["api=orders"], author="ana", reason="x", ends_at=START + 600
    )
    for api in ("orders", "billing"):
        world.source.set("error_rate", 0.2, api=api)
    done = world.step()
    (row,) = outbox_rows(world.state)
    assert [a["labels"]["api"] for a in row["payload"]["alerts"]] == ["billing"]
    assert done.suppressed == 1
    assert store.end_maintenance(number)
    assert not store.end_maintenance(number)
    world.step()
    assert len(told(world)) == 2


def test_recurring_maintenance_of_the_file_comes_back_every_week(tmp_path):
    world = make(tmp_path, RECURRING)
    quiet = []
    for day in (22, 23, 29):  # Tuesday, Wednesday, Tuesday: 09:30 in Berlin
        world.now = datetime(2026, 9, day, 7, 30, tzinfo=UTC).timestamp()
        world.source.set("error_rate", 0.2, api="orders")
        quiet.append(world.step().suppressed)
        world.source.set("error_rate", 0.0, api="orders")
        world.step()
    assert quiet == [1, 0, 1]
    assert told(world) == ["firing", "resolved"]


def test_recurring_maintenance_of_the_store_survives_a_restart(tmp_path):
    world = make(tmp_path)
    nights = TimeInterval("nights", minutes=((22 * 60, 6 * 60),), zone="Europe/Berlin")
    store_of(world).add_maintenance("nights", [], author="ana", reason="batch", recurs=nights)
    world.restart()
    world.now = datetime(2026, 9, 23, 23, 0, tzinfo=UTC).timestamp()
    world.source.set("error_rate", 0.2, api="orders")
    assert world.step().suppressed == 1
    (window,) = store_of(world).maintenance()
    assert (window.recurs, window.matchers) == (nights, ())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reason": " "}, "a name, an author and a reason"),
        ({"ends_at": None}, "needs an end"),
        ({"ends_at": START - 1}, "end before it starts"),
        ({"ends_at": START + 40 * 86_400}, "longer than 30 days"),
        ({"recurs": TimeInterval("always")}, "would never end"),
    ],
)
def test_maintenance_without_sense_is_refused(tmp_path, changed, said):
    world = make(tmp_path)
    options = {"author": "ana", "reason": "x", "ends_at": START + 60, **changed}
    with pytest.raises(MaintenanceInvalid, match=said):
        store_of(world).add_maintenance("window", ["api=orders"], **options)


def test_maintenance_without_times_is_refused_in_a_file():
    with pytest.raises(ConfigInvalid, match="needs 'from' and 'to', or 'during'"):
        parse_delivery(CHANNELS + "maintenance:\n  - {name: w}\n")


def flap(world, times, every_s=60.0):
    for _ in range(times):
        for value in (0.2, 0.0):
            world.source.set("error_rate", value, api="orders")
            world.step(every_s)


def test_flapping_alert_is_told_once_and_then_only_when_it_is_calm(tmp_path):
    world = make(tmp_path)
    flap(world, FLAPPING_OPENS - 1)
    assert told(world) == ["firing", "resolved"] * (FLAPPING_OPENS - 1)
    before = len(told(world))
    flap(world, 10)
    assert told(world)[before:] == ["firing"]
    last = outbox_rows(world.state)[-1]["payload"]["alerts"][0]
    assert last["annotations"]["flapping"].startswith("Flapping: it fired 4 times within 30 min.")
    assert list(store_of(world).flapping()) == [last["fingerprint"]]
    world.step(FLAPPING_CALM_S)
    assert told(world)[before:] == ["firing", "resolved"]
    assert store_of(world).flapping() == {}


def test_flapping_alert_that_stays_open_is_not_told_again_but_its_end_is(tmp_path):
    world = make(tmp_path)
    flap(world, 6)
    before = len(told(world))
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    (alert,) = store_of(world).active()
    assert alert.flapping is not None
    assert alert.flapping.opens >= FLAPPING_OPENS
    for _ in range(60):
        world.step(60.0)
    assert store_of(world).active()[0].flapping is None
    world.source.set("error_rate", 0.0, api="orders")
    world.step()
    assert told(world)[before:] == ["resolved"]


def test_end_of_a_flapping_alert_says_who_it_is_although_it_was_let_go(tmp_path):
    """Pending for a moment after its last close, it has no row any more when its end is told."""
    rules = RULES.replace('"> 5%"', '"> 5%", for: 90s')
    world = make_world(tmp_path, rules, parse_delivery(CHANNELS))
    for _ in range(FLAPPING_OPENS):
        world.source.set("error_rate", 0.2, api="orders")
        world.step(60.0)
        world.step(90.0)
        world.source.set("error_rate", 0.0, api="orders")
        world.step(60.0)
    for value in (0.2, 0.0):
        world.source.set("error_rate", value, api="orders")
        world.step(10.0)
    assert store_of(world).active() == []
    world.step(FLAPPING_CALM_S)
    (alert,) = outbox_rows(world.state)[-1]["payload"]["alerts"]
    assert (alert["status"], alert["labels"]["api"]) == ("resolved", "orders")


def test_acknowledgement_outlives_the_flapping(tmp_path):
    world = make(tmp_path)
    flap(world, FLAPPING_OPENS)
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    (alert,) = store_of(world).active()
    store_of(world).acknowledge(alert.fingerprint, by="ana")
    flap(world, 2)
    world.source.set("error_rate", 0.2, api="orders")
    world.step()
    assert store_of(world).active()[0].acknowledged_by == "ana"


def test_slow_changes_are_no_flapping(tmp_path):
    world = make(tmp_path)
    flap(world, 8, every_s=400.0)
    assert told(world) == ["firing", "resolved"] * 8


def test_silence_about_to_end_over_a_firing_alert_is_warned_of_once(tmp_path):
    world = make(tmp_path)
    store = store_of(world)
    store.silence(["api=orders"], author="ana", reason="known fault", duration_s=3_600)
    world.source.set("error_rate", 0.2, api="orders")
    for _ in range(50):
        world.step(60.0)
    assert [s.author for s in store.silences_expiring()] == ["ana"]
    first, last = outbox_rows(world.state)
    assert first["payload"]["commonAnnotations"]["summary"] == (
        "Silence 1 of ana ends in 15 min; 1 alerts under it still fire: errors"
    )
    assert (first["payload"]["status"], last["payload"]["status"]) == ("firing", "resolved")
    assert last["next_attempt_at"] == START + 3_600
    for _ in range(11):
        world.step(60.0)
    assert told(world) == ["firing", "resolved", "firing"]  # the alert itself, once it may


def test_silence_over_nothing_ends_without_a_word(tmp_path):
    world = make(tmp_path)
    store_of(world).silence(["api=orders"], author="ana", reason="x", duration_s=3_600)
    for _ in range(70):
        world.step(60.0)
    assert told(world) == []
