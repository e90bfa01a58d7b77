"""Rules made on screen: checked as files are, versioned, and in force without a restart."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from alerting.errors import ConfigInvalid, RuleConflict
from alerting.rules import parse_rules
from alerting.store import AlertStore
from alerting.stored_rules import RuleBook, RuleStore
from storage.settings import StorageSettings
from storage.state import alert_rules
from tests.alerting.world import START, make_world, quick_state

RULE = """\
name: orders-errors
measure: error_rate
group_by: [api]
condition: "> 5%"
severity: critical
"""


@pytest.fixture
def store(tmp_path):
    state = quick_state(StorageSettings(data_dir=tmp_path))
    yield RuleStore(state, clock=lambda: START)
    state.dispose()


def test_rule_goes_through_its_life_and_every_version_stays(store):
    first = store.create(RULE, author="ana")
    second = store.update("orders-errors", RULE.replace("5%", "9%"), author="ben", seen=1)
    store.delete("orders-errors", author="ana", seen=2)
    again = store.create(RULE, author="ana")
    assert (first.version, second.version, again.version) == (1, 2, 4)
    assert [(v.version, v.author, v.source is None) for v in store.versions("orders-errors")] == [
        (4, "ana", False), (3, "ana", True), (2, "ben", False), (1, "ana", False),
    ]  # fmt: skip
    assert [rule.version for rule in store.all()] == [4]


def test_mistakes_are_told_with_the_line_of_the_editor(store):
    with pytest.raises(ConfigInvalid) as caught:
        store.create(RULE.replace("error_rate", "eror_rate"), author="ana")
    (problem,) = caught.value.problems
    assert "error_rate" in problem.hint
    assert problem.line == 2
    with pytest.raises(ConfigInvalid, match="There are 2 rules"):
        store.create(
            "rules:\n  - {name: a, measure: requests, condition: '> 1'}\n"
            "  - {name: b, measure: requests, condition: '> 1'}\n", author="ana",
        )  # fmt: skip
    assert store.all() == []


def test_two_editors_never_overwrite_each_other_unseen(store):
    store.create(RULE, author="ana")
    store.update("orders-errors", RULE.replace("5%", "9%"), author="ben", seen=1)
    with pytest.raises(RuleConflict, match="ben changed 'orders-errors' meanwhile"):
        store.update("orders-errors", RULE.replace("5%", "7%"), author="ana", seen=1)
    with pytest.raises(RuleConflict, match="meanwhile"):
        store.delete("orders-errors", author="ana", seen=1)
    with pytest.raises(RuleConflict, match="exists already"):
        store.create(RULE, author="ana")
    with pytest.raises(RuleConflict, match="no rule called 'other'"):
        store.delete("other", author="ana", seen=1)
    with pytest.raises(RuleConflict, match="not 'renamed'"):
        store.update("orders-errors", RULE.replace("orders-errors", "renamed"), author="a", seen=2)
    assert '"> 9%"' in (store.get("orders-errors").source or "")


def test_file_goes_before_store_and_store_before_built_in(store):
    store.create(RULE, author="ana")
    store.create(RULE.replace("orders-errors", "mine"), author="ana")
    (filed,) = parse_rules("rules:\n  - {name: orders-errors, measure: requests, condition: '> 1'}")
    builtin = parse_rules("rules:\n  - {name: mine, measure: requests, condition: '> 1'}")
    book = RuleBook(store, [filed], builtin)
    rules = {rule.name: rule for rule in book.changed()}
    assert rules["orders-errors"] is filed
    assert rules["mine"].check.measure == "error_rate"
    assert book.changed() is None


def test_stored_rule_is_in_force_at_the_next_look_and_its_end_resolves_its_alerts(tmp_path):
    world = make_world(tmp_path, "rules: []")
    store = RuleStore(world.state, clock=lambda: world.now)
    world.engine._book = RuleBook(store, ())
    world.source.set("error_rate", 0.2, api="orders")
    assert world.step().changes == ()
    store.create(RULE, author="ana")
    world.step()
    (alert,) = AlertStore(world.state, clock=lambda: world.now).active()
    assert (alert.rule, alert.state) == ("orders-errors", "firing")
    store.delete("orders-errors", author="ana", seen=1)
    (change,) = world.step().changes
    assert change.change.closes


def test_stored_rule_that_cannot_be_read_any_more_is_an_alert(tmp_path):
    world = make_world(tmp_path, "rules: []")
    store = RuleStore(world.state, clock=lambda: world.now)
    row = {"name": "old", "version": 1, "source": "name: old\nmeasure: gone\ncondition: '> 1'",
           "author": "ana", "created_at": START}  # fmt: skip
    with world.state.begin() as connection:
        connection.execute(sa.insert(alert_rules).values(row))
    world.engine._book = RuleBook(store, ())
    for _ in range(14):
        done = world.step()
    assert list(done.failed) == ["old"]
    (alert,) = AlertStore(world.state, clock=lambda: world.now).active()
    assert (alert.rule, alert.labels["rule"]) == ("gatelens-rule-failing", "old")
