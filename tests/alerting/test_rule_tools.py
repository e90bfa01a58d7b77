"""`rules check`, `rules test` and `rules backtest`, as functions."""

from __future__ import annotations

import pytest

from alerting.backtest import backtest
from alerting.errors import ConfigInvalid
from alerting.point import Point
from alerting.rule_check import check_rules
from alerting.rule_test import run_rule_tests
from alerting.rules import parse_rules
from alerting.series_notation import parse_series
from tests.alerting.world import START, FakeSource

RULES = """\
rules:
  - name: errors
    measure: error_rate
    group_by: [api]
    min_requests: 20
    condition: "> 5%"
    for: 15s
    annotations: {summary: "{api}"}
"""
TESTS = """\
rules_file: rules.yaml
interval: 5s
tests:
  - name: an error burst pages once
    series:
      - {measure: error_rate, labels: {api: orders}, values: "0x2 0.2x5 0x5"}
      - {measure: error_rate, labels: {api: billing}, values: "0.9x13", requests: "5"}
    alerts:
      - {at: 20s, rule: errors, state: pending, labels: {api: orders}}
      - {at: 30s, rule: errors, state: firing, labels: {api: orders}}
      - {at: 30s, rule: errors, state: none, labels: {api: billing}}
      - {at: 50s, rule: errors, state: none}
    notifications:
      - {at: 30s, status: firing, labels: {api: orders}}
      - {at: 45s, status: resolved}
"""


def write(folder, tests=TESTS, rules=RULES):
    (folder / "rules.yaml").write_text(rules)
    (folder / "tests.yaml").write_text(tests)
    return folder / "tests.yaml"


def test_series_notation():
    assert parse_series("1 2x2 1+2x3 9-3x2 _ _x2 0.5") == [
        1, 2, 2, 2, 1, 3, 5, 7, 9, 6, 3, None, None, None, 0.5,
    ]  # fmt: skip
    for wrong in ("1+2", "x", "1y3", "_+1x3", "1x9999999"):
        with pytest.raises(ValueError, match="item|steps"):
            parse_series(wrong)


def test_right_expectations_pass(tmp_path):
    (result,) = run_rule_tests(write(tmp_path))
    assert result.failures == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("at: 30s, rule: errors, state: firing", "at: 20s, rule: errors, state: firing",
         "line 10: at 20 s errors api=orders should be firing, but is: pending"),
        ("at: 20s, rule: errors, state: pending", "at: 20s, rule: errors, state: none",
         "line 9: at 20 s errors api=orders should be none, but is: pending"),
        ("at: 45s, status: resolved", "at: 40s, status: resolved", "at 45 s this was sent"),
        ("      - {at: 45s, status: resolved}\n", "", "at 45 s a notification was not expected"),
        ("status: resolved}\n", "status: resolved}\n      - {at: 50s}\n", "no firing notification"),
    ],
)  # fmt: skip
def test_wrong_expectations_fail_and_say_how(tmp_path, old, new, said):
    (result,) = run_rule_tests(write(tmp_path, TESTS.replace(old, new)))
    assert any(said in failure for failure in result.failures), result.failures


def test_test_file_mistakes_are_told_with_lines(tmp_path):
    broken = TESTS.replace("rule: errors, state: pending", "rule: erorrs, state: pendig")
    with pytest.raises(ConfigInvalid) as caught:
        run_rule_tests(write(tmp_path, broken))
    assert [p.line for p in caught.value.problems] == [9, 9]


def test_check_reports_problems_or_warnings(tmp_path):
    write(tmp_path)
    assert check_rules(tmp_path / "rules.yaml").ok
    (tmp_path / "rules.yaml").write_text(RULES.replace("    min_requests: 20\n", ""))
    checked = check_rules(tmp_path / "rules.yaml")
    assert checked.ok
    assert "very few requests" in str(checked.warnings[0])
    (tmp_path / "rules.yaml").write_text("rules: 5")
    assert not check_rules(tmp_path / "rules.yaml").ok


def test_backtest_counts_pages_lengths_and_nights():
    night = START - START % 86_400 + 2 * 3600  # 02:00 UTC
    bursts = [(night, night + 600), (night + 12 * 3600, night + 12 * 3600 + 1200)]

    def answer(name, start, end, filters, by):
        bad = any(a < end <= b for a, b in bursts)
        return [Point((("api", "orders"),), 0.5 if bad else 0.0, 100)]

    told = []
    (result,) = backtest(
        parse_rules(RULES), FakeSource(answer=answer), start=night - 3600, end=night + 72_000,
        progress=told.append,
    )  # fmt: skip
    assert (len(result.pages), result.nights, result.looked_every_s) == (2, 1, 60.0)
    assert [page.seconds(result.end) for page in result.pages] == [540, 1140]
    assert result.pages[0].peak == 0.5
    assert told[-1] == 1.0
    tokyo = backtest(
        parse_rules(RULES), FakeSource(answer=answer), start=night - 3600, end=night + 72_000,
        zone="Asia/Tokyo",
    )  # fmt: skip
    assert [page.at_night for page in tokyo[0].pages] == [False, True]


def test_backtest_keeps_what_still_fires_and_bounds_its_looks():
    source = FakeSource()
    source.set("error_rate", 0.5, api="orders")
    (result,) = backtest(parse_rules(RULES), source, start=START, end=START + 30 * 86_400)
    assert result.looks == 2_000
    assert [(p.resolved_at, p.fired_at > START) for p in result.pages] == [(None, True)]
    assert result.firing_s == result.pages[0].seconds(result.end) > 29 * 86_400
