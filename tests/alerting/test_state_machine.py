from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.state_machine import Instance, Observation, State, Timing, advance

BREACH, FINE, UNKNOWN = True, False, None


def walk(timing, *looks, instance=None):
    """Feed (seconds, breached) pairs; the states passed through and the last instance."""
    instance = instance or Instance()
    states = []
    for at, breached in looks:
        instance, _ = advance(instance, Observation(at, breached, 1.0, 0.5), timing)
        states.append(instance.state.value)
    return states, instance


def test_breach_without_for_fires_at_once():
    states, instance = walk(Timing(), (0, BREACH))
    assert states == ["firing"]
    assert (instance.active_since, instance.fired_at) == (0, 0)


def test_breach_must_last_for_its_time():
    states, instance = walk(Timing(for_s=15), (0, BREACH), (5, BREACH), (10, BREACH), (15, BREACH))
    assert states == ["pending", "pending", "pending", "firing"]
    assert (instance.active_since, instance.fired_at) == (0, 15)


def test_calm_while_pending_starts_over():
    states, instance = walk(Timing(for_s=10), (0, BREACH), (5, FINE), (10, BREACH), (15, BREACH))
    assert states == ["pending", "inactive", "pending", "pending"]
    assert instance.active_since == 10


def test_keep_firing_for_bridges_short_calm():
    timing = Timing(keep_firing_for_s=30)
    states, _ = walk(timing, (0, BREACH), (10, FINE), (20, BREACH), (45, FINE), (50, FINE))
    assert states == ["firing", "firing", "firing", "firing", "resolved"]


def test_resolved_alert_can_fire_again_with_a_new_time():
    states, instance = walk(Timing(), (0, BREACH), (5, FINE), (10, FINE), (15, BREACH))
    assert states == ["firing", "resolved", "resolved", "firing"]
    assert (instance.fired_at, instance.resolved_at) == (15, None)


@pytest.mark.parametrize(
    ("policy", "after_firing", "after_quiet"),
    [("keep", "firing", "no_data"), ("ok", "resolved", "inactive"), ("alert", "firing", "firing")],
)
def test_missing_data_follows_the_policy(policy, after_firing, after_quiet):
    timing = Timing(no_data=policy)
    assert walk(timing, (0, BREACH), (5, UNKNOWN))[0][-1] == after_firing
    assert walk(timing, (0, FINE), (5, UNKNOWN))[0][-1] == after_quiet


def test_unmeasured_time_does_not_count_towards_for():
    looks = [(0, BREACH), (5, BREACH), (500, UNKNOWN), (505, BREACH), (515, BREACH)]
    states, _ = walk(Timing(for_s=20), *looks)
    assert states == ["pending"] * 4 + ["firing"]


def test_a_long_pause_does_not_prove_a_breach():
    states, _ = walk(Timing(for_s=300, gap_s=60), (0, BREACH), (3600, BREACH), (3900, BREACH))
    assert states == ["pending", "pending", "pending"]


def test_kept_alert_is_let_go_after_the_limit():
    timing = Timing(no_data_keep_s=100)
    states, _ = walk(timing, (0, BREACH), (50, UNKNOWN), (149, UNKNOWN), (150, UNKNOWN))
    assert states == ["firing", "firing", "firing", "resolved"]


def test_older_look_changes_nothing():
    _, instance = walk(Timing(), (10, BREACH))
    assert advance(instance, Observation(10, FINE), Timing()) == (instance, None)
    assert advance(instance, Observation(3, FINE), Timing()) == (instance, None)


timings = st.builds(
    Timing,
    for_s=st.sampled_from([0.0, 5.0, 20.0]),
    keep_firing_for_s=st.sampled_from([0.0, 7.0, 30.0]),
    no_data=st.sampled_from(["keep", "alert", "ok"]),
    gap_s=st.sampled_from([10.0, 120.0]),
    no_data_keep_s=st.sampled_from([40.0, 3600.0]),
)
looks = st.lists(
    st.tuples(st.floats(-10, 100, allow_nan=False), st.sampled_from([BREACH, FINE, UNKNOWN])),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(timings, looks)
def test_opens_and_closes_alternate_for_any_sequence(timing, sequence):
    follow(timing, sequence)


@pytest.mark.slow
@settings(max_examples=5_000, deadline=None)
@given(timings, looks)
def test_opens_and_closes_alternate_for_very_many_sequences(timing, sequence):
    follow(timing, sequence)


def follow(timing, sequence):
    instance, at, opened = Instance(), 0.0, False
    for seconds, breached in sequence:
        at += seconds  # negative: a clock that jumps back
        before = instance
        instance, change = advance(instance, Observation(at, breached, 1.0, 0.5), timing)
        assert (change is None) == (before.state is instance.state)
        if change is not None and change.opens:
            assert not opened
            opened = True
        elif change is not None and change.closes:
            assert opened
            assert change.after is State.RESOLVED
            opened = False
        assert opened == (instance.state is State.FIRING)
        assert before.updated_at is None or instance.updated_at >= before.updated_at


@settings(max_examples=40, deadline=None)
@given(timings, looks)
def test_enough_calm_always_resolves(timing, sequence):
    instance, at = Instance(), 0.0
    for seconds, breached in sequence:
        at += abs(seconds)
        instance, _ = advance(instance, Observation(at, breached), timing)
    was_open = instance.state is State.FIRING
    instance, _ = advance(instance, Observation(at + 31.0, FINE), timing)
    assert instance.state is (State.RESOLVED if was_open else instance.state)
    assert instance.state in (State.INACTIVE, State.RESOLVED)


@settings(max_examples=40, deadline=None)
@given(timings, st.lists(st.floats(0.5, 9.0), min_size=1, max_size=40))
def test_unbroken_breach_fires_exactly_once_and_not_too_soon(timing, gaps):
    instance, at, opens = Instance(), 0.0, []
    for gap in gaps:
        at += gap
        instance, change = advance(instance, Observation(at, BREACH), timing)
        if change is not None and change.opens:
            opens.append(at)
    first = gaps[0]
    assert len(opens) == (1 if at - first >= timing.for_s else 0)
    if opens:
        assert opens[0] - first >= timing.for_s
