from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting.limits import FLAPPING_CALM_S
from alerting.point import Point
from alerting.store import AlertStore
from tests.alerting.world import START, make_world, outbox_rows

RULES = """
rules:
  - name: errors
    measure: error_rate
    group_by: [api]
    min_requests: 20
    condition: "> 5%"
    for: 15s
    severity: critical
    annotations: {summary: "{api} fails {value}, limit {threshold}"}
"""


def told(state):
    """(status, apis) of every notification, in order."""
    return [
        (row["payload"]["status"], [a["labels"].get("api") for a in row["payload"]["alerts"]])
        for row in outbox_rows(state)
    ]


def test_breach_fires_after_for_and_resolves(tmp_path):
    world = make_world(tmp_path, RULES)
    world.source.set("error_rate", 0.2, api="orders")
    world.source.set("error_rate", 0.01, api="billing")
    states = [[(c.alert.labels["api"], c.change.after.value) for c in world.step().changes]
              for _ in range(4)]  # fmt: skip
    assert states == [[("orders", "pending")], [], [], [("orders", "firing")]]
    alert = AlertStore(world.state, clock=lambda: world.now).active()[0]
    assert alert.summary == "orders fails 20.0 %, limit 5.0 %"
    assert alert.labels == {"api": "orders", "alertname": "errors", "severity": "critical"}
    assert alert.fired_at - alert.active_since == 15
    world.source.set("error_rate", 0.0, api="orders")
    world.step()
    assert told(world.state) == [("firing", ["orders"]), ("resolved", ["orders"])]
    counts = AlertStore(world.state, clock=lambda: world.now).counts()
    assert (counts.firing, counts.resolved, counts.undelivered) == (0, 1, 2)


def test_restart_neither_resends_nor_forgets(tmp_path):
    world = make_world(tmp_path, RULES)
    world.source.set("error_rate", 0.2, api="orders")
    for _ in range(5):
        world.step()
        world.restart()
    assert told(world.state) == [("firing", ["orders"])]
    for _ in range(100):
        world.step()
        world.restart()
    assert len(told(world.state)) == 1
    world.source.set("error_rate", 0.0, api="orders")
    world.restart()
    world.step()
    assert told(world.state) == [("firing", ["orders"]), ("resolved", ["orders"])]


def test_too_few_requests_are_not_judged(tmp_path):
    world = make_world(tmp_path, RULES)
    world.source.set("error_rate", 1.0, requests=19, api="orders")
    assert [world.step().changes for _ in range(6)] == [()] * 6


def test_windows_end_at_the_data_not_at_the_wall_clock(tmp_path):
    world = make_world(tmp_path, RULES)
    seen = []
    world.source.answer = lambda name, start, end, filters, by: seen.append((start, end)) or []
    world.source.until = START - 7.0
    assert world.engine.evaluate_once(START).at == START - 8.0
    assert seen == [(START - 68.0, START - 8.0)]


def test_stalled_data_neither_resolves_nor_fires(tmp_path):
    world = make_world(tmp_path, RULES)
    world.source.set("error_rate", 0.2, api="orders")
    for _ in range(5):
        world.step()
    world.source.set("error_rate", 0.0, api="orders")
    for _ in range(200):
        world.step(60.0, data=False)
    alert = AlertStore(world.state, clock=lambda: world.now).active()[0]
    assert alert.state == "firing"
    assert alert.unmeasured_since is not None
    world.step()
    assert told(world.state)[-1] == ("resolved", ["orders"])


def test_no_data_alert_policy_fires_for_a_series_that_vanishes(tmp_path):
    world = make_world(tmp_path, RULES.replace("severity", "no_data: alert\n    severity", 1))
    world.source.set("error_rate", 0.0, api="orders")
    world.step()
    world.source.drop("error_rate", api="orders")
    for _ in range(4):
        world.step()
    assert told(world.state) == [("firing", ["orders"])]
    assert AlertStore(world.state).active()[0].summary == "No data for errors orders"


def test_broken_rule_does_not_silence_the_others(tmp_path):
    broken = '  - {name: slow, measure: p95_ms, condition: "> 1s"}\n'
    world = make_world(tmp_path, RULES.replace("rules:\n", "rules:\n" + broken))
    world.source.broken.add("p95_ms")
    world.source.set("error_rate", 0.2, api="orders")
    for _ in range(4):
        done = world.step()
    assert list(done.failed) == ["slow"]
    assert told(world.state) == [("firing", ["orders"])]


def test_rule_that_keeps_failing_is_an_alert_itself(tmp_path):
    world = make_world(tmp_path, RULES)
    world.source.broken.add("error_rate")
    for _ in range(11):
        world.step()
    assert AlertStore(world.state).counts().firing == 0  # a hiccup wakes nobody
    for _ in range(3):
        world.step()
        world.restart()
    (alert,) = AlertStore(world.state).active()
    assert (alert.rule, alert.labels["rule"]) == ("gatelens-rule-failing", "errors")
    assert alert.summary.startswith("The alert rule errors cannot be evaluated")
    assert "error_rate is broken" in alert.annotations["description"]
    world.source.broken.clear()
    world.step()
    assert [row["payload"]["status"] for row in outbox_rows(world.state)] == ["firing", "resolved"]


@pytest.mark.parametrize("phase", range(0, 10))
def test_breach_is_told_within_ten_seconds_of_its_time_at_defaults(tmp_path, phase):
    """Data is committed every 2 s, rounds come every 5 s: whatever the phase between the two."""
    world = make_world(tmp_path, 'rules: [{name: e, measure: errors, condition: ">= 1"}]')
    broke_at, told_at = START + 20 + phase * 0.5, None
    world.source.answer = lambda name, start, end, filters, by: [
        Point((), 1.0 if start <= broke_at < end else 0.0, 10)
    ]
    for second in range(0, 40):
        now = START + second
        if second % 2 == 0:
            world.source.until = now
        if second % 5 == 0 and world.engine.evaluate_once(now).notices and told_at is None:
            told_at = now
    assert told_at is not None
    assert told_at - broke_at <= 10.0


def test_removed_rule_closes_what_it_opened(tmp_path):
    world = make_world(tmp_path, RULES)
    world.source.set("error_rate", 0.2, api="orders")
    for _ in range(4):
        world.step()
    world.restart(rules="rules: []")
    world.step()
    assert told(world.state) == [("firing", ["orders"]), ("resolved", ["orders"])]
    assert AlertStore(world.state).active() == []


def test_hostile_label_is_only_text(tmp_path):
    world = make_world(tmp_path, RULES)
    name = "{value} {{7*7}} {0.__class__} \u202e' OR 1=1 --"
    world.source.set("error_rate", 0.2, api=name)
    for _ in range(4):
        world.step()
    alert = AlertStore(world.state).active()[0]
    assert alert.summary == f"{name} fails 20.0 %, limit 5.0 %"


@pytest.mark.parametrize("statement", ["alert_history", "outbox", "alert_groups", "COMMIT"])
def test_crash_while_writing_leaves_all_or_nothing(tmp_path, statement):
    """The round dies at one of its writes; the next process sees neither state nor notification."""
    world = make_world(tmp_path, RULES)
    world.source.set("error_rate", 0.2, api="orders")
    for _ in range(3):
        world.step()

    def die(*arguments):
        if statement == "COMMIT" or f"INTO {statement}" in arguments[2]:
            raise KeyboardInterrupt

    kind = "commit" if statement == "COMMIT" else "before_cursor_execute"
    sa.event.listen(world.state, kind, die)
    with pytest.raises(KeyboardInterrupt):
        world.step()
    sa.event.remove(world.state, kind, die)
    assert told(world.state) == []
    assert AlertStore(world.state).counts().firing == 0
    world.restart()
    world.step()
    assert told(world.state) == [("firing", ["orders"])]
    assert AlertStore(world.state).counts().firing == 1


values = st.sampled_from([0.0, 0.2, None])
tick = st.tuples(
    values,
    values,
    st.sampled_from(["run", "run", "run", "restart", "crash", "stall", "pause"]),
)
policies = st.sampled_from(["keep", "alert", "ok"])
LENIENT = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=12, **LENIENT)
@given(ticks=st.lists(tick, max_size=15), policy=policies)
def test_any_history_tells_opens_and_closes_in_turn(tmp_path_factory, ticks, policy):
    live_through(tmp_path_factory.mktemp("any"), ticks, policy)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=250, **LENIENT)
@given(ticks=st.lists(tick, min_size=10, max_size=80), policy=policies)
def test_any_long_history_with_flapping_tells_opens_and_closes_in_turn(
    tmp_path_factory, ticks, policy
):
    live_through(tmp_path_factory.mktemp("any"), ticks, policy)


def live_through(folder, ticks, policy):
    """Never two opens without a close, never a lost close, whatever happens."""
    rules = RULES.replace("for: 15s", "for: 5s").replace(
        "severity", f"no_data: {policy}\n    severity", 1
    )
    world = make_world(folder, rules)

    def die(*_):
        raise KeyboardInterrupt

    for orders, billing, what in ticks:
        for api, value in (("orders", orders), ("billing", billing)):
            if value is None:
                world.source.values.pop(("error_rate", (("api", api),)), None)
            else:
                world.source.set("error_rate", value, api=api)
        if what == "restart":
            world.restart()
        if what == "crash":
            sa.event.listen(world.state, "commit", die)
            with pytest.raises(KeyboardInterrupt):
                world.step()
            sa.event.remove(world.state, "commit", die)
            world.restart()
        else:
            world.step(400.0 if what == "pause" else 5.0, data=what != "stall")
    # The end: everything is fine and measured, so everything that was told firing is told resolved.
    for api in ("orders", "billing"):
        world.source.set("error_rate", 0.0, api=api)
    for _ in range(12):
        world.step()
    world.step(FLAPPING_CALM_S)  # what flapped is told now
    open_now: dict[str, bool] = {"orders": False, "billing": False}
    for row in outbox_rows(world.state):
        for alert in row["payload"]["alerts"]:
            api = alert["labels"]["api"]
            if alert["status"] == "resolved":
                assert open_now[api], "closed without an open"
            open_now[api] = alert["status"] == "firing"
    assert open_now == {"orders": False, "billing": False}
    history = AlertStore(world.state).history(10_000)[::-1]
    for api in open_now:
        steps = [h for h in history if h.labels["api"] == api]
        told_steps = [h.to_state for h in steps if "firing" in (h.to_state, h.from_state)]
        assert told_steps == ["firing", "resolved"] * (len(told_steps) // 2)
    world.state.dispose()
