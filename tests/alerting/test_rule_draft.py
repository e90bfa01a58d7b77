"""Rules made on screen: whatever a form holds becomes text that the check reads, or refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.errors import ConfigInvalid
from alerting.rule_draft import STARTERS, Draft, draft_source, source_of
from alerting.rule_words import say_rule
from alerting.rules import builtin_rules, load_rules
from alerting.slo_rules import slo_rules
from alerting.stored_rules import RuleStore
from analytics.query import MEASURES
from storage.catalog import Catalog, Slo


def checked(source):
    return RuleStore.check(RuleStore(None), source)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_form_left_alone_is_a_rule_for_every_measure(measure):
    rule = checked(draft_source(Draft(measure=measure)))
    assert rule.check.measure == measure
    assert rule.name == f"every-api-{measure.replace('_', '-')}"
    assert "{value}" in rule.annotations["summary"]


def test_what_the_form_says_is_in_the_rule():
    draft = Draft(
        "p95_ms", "slow", ">= 1.5s", "10m", "2m", "", "critical", ("api", "route"),
        {"api": ["orders", "no"], "status_code": ["2xx"]}, "{api} is slow: \"very\"", "team: a",
        "https://wiki.example/slow",
    )  # fmt: skip
    rule = checked(draft_source(draft))
    assert (rule.check.condition.threshold, rule.check.window_s, rule.timing.for_s) == (
        1500.0, 600.0, 120.0,
    )  # fmt: skip
    assert dict(rule.filters.active()) == {"api": ("orders", "no"), "status_code": ("2xx",)}
    assert (rule.group_by, rule.severity) == (("api", "route"), "critical")
    assert (rule.owner, rule.runbook_url) == ("team: a", "https://wiki.example/slow")
    assert rule.annotations == {"summary": '{api} is slow: "very"'}


@given(
    st.builds(
        Draft,
        name=st.text(max_size=20),
        condition=st.text(max_size=20),
        window=st.text(max_size=8),
        for_=st.text(max_size=8),
        min_requests=st.text(max_size=8),
        group_by=st.lists(st.text(max_size=8), max_size=2),
        filters=st.dictionaries(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=2)),
        summary=st.text(max_size=30),
        owner=st.text(max_size=20),
    )
)
def test_whatever_is_typed_is_a_rule_or_a_list_of_mistakes(draft):
    try:
        rule = checked(draft_source(draft))
    except ConfigInvalid as err:
        assert err.problems
    else:
        assert rule.owner == draft.owner.strip()


@pytest.mark.parametrize("kind", STARTERS)
def test_starting_points_are_rules_of_their_kind(kind):
    rule = checked(STARTERS[kind][1])
    assert rule.kind == kind
    assert len(say_rule(rule)) > 10


def test_source_of_a_builtin_rule_is_that_rule():
    for rule in builtin_rules():
        source = source_of(rule)
        again = checked(source)
        assert (again.name, again.check, again.timing) == (rule.name, rule.check, rule.timing)


def test_source_of_a_file_s_rule_is_its_own_lines(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "rules:\n- name: a\n  measure: requests\n\n  condition: '> 1'\n"
        "# of b\n- {name: b, measure: requests, condition: '> 2'}\n"
    )
    first, second = load_rules(path, builtin=False)
    assert source_of(first) == "name: a\nmeasure: requests\n\ncondition: '> 1'\n"
    assert checked(source_of(second)).name == "b"
    path.write_text("rules: []\n")
    assert source_of(first) is None


def test_rules_are_said_in_a_line():
    said = {rule.name: say_rule(rule) for rule in builtin_rules()}
    assert said["api-error-ratio"] == "error rate > 5.0 % over 1 min, per api, for 15 s"
    assert said["gateway-silent"] == (
        "nothing for 5 min after traffic within 6 h, per gateway, for 1 min"
    )
    assert said["quota-runs-out-early"] == (
        "the month's quota runs out 2 d or more before its end, per consumer"
    )
    assert said["api-traffic-drop"] == (
        "requests < -80 % over 30 min against 7 d before, per api, for 5 min"
    )
    slos = Catalog(slos=(Slo(name="s", api="orders", objective=0.999),))
    assert say_rule(slo_rules(slos)[0]).startswith("budget of 99.9 % not failed in 30 d burns x14")
