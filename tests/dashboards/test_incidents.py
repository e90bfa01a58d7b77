"""Home's recent incidents: each firing with its own end."""

from __future__ import annotations

from alerting.state_machine import State
from alerting.store import HistoryEntry
from dashboards.panels.home_panels import incidents

FIRING, RESOLVED, PENDING, NO_DATA = State.FIRING, State.RESOLVED, State.PENDING, State.NO_DATA


def newest_first(*changes: tuple[float, str, State]) -> list[HistoryEntry]:
    """(moment, series, new state), oldest first as they happened."""
    return [
        HistoryEntry(number, at, series, "slow", {}, "critical", State.INACTIVE, to, None, None,
                     "", {})
        for number, (at, series, to) in reversed(list(enumerate(changes)))
    ]  # fmt: skip


def told(*changes: tuple[float, str, State]) -> list[tuple[str, float, float | None]]:
    found = incidents(newest_first(*changes))
    return [(i.change.fingerprint, i.change.at, i.lasted_s) for i in found]


def test_a_firing_that_was_resolved_lasted_from_one_to_the_other() -> None:
    assert told((10, "a", PENDING), (20, "a", FIRING), (50, "a", RESOLVED)) == [("a", 20, 30)]


def test_a_firing_without_an_end_still_lasts() -> None:
    assert told((20, "a", FIRING)) == [("a", 20, None)]


def test_two_firings_of_one_series_do_not_share_an_end() -> None:
    found = told((1, "a", FIRING), (3, "a", RESOLVED), (5, "a", PENDING), (6, "a", FIRING))
    assert found == [("a", 6, None), ("a", 1, 2)]


def test_the_end_is_the_first_change_after_the_firing() -> None:
    found = told((1, "a", FIRING), (4, "a", NO_DATA), (9, "a", RESOLVED))
    assert found == [("a", 1, 3)]


def test_series_are_paired_apart_and_the_newest_comes_first() -> None:
    found = told((1, "a", FIRING), (2, "b", FIRING), (5, "a", RESOLVED), (9, "b", RESOLVED))
    assert found == [("b", 2, 7), ("a", 1, 4)]


def test_an_end_whose_firing_is_not_in_the_list_is_no_incident() -> None:
    assert told((5, "a", RESOLVED)) == []
