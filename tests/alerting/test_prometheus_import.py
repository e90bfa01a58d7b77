"""Prometheus rules: what is taken says the same, what is not is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.errors import ConfigInvalid
from alerting.prometheus_import import import_prometheus
from alerting.promql import (
    Aggregation,
    Binary,
    Call,
    LabelMatch,
    Number,
    PromqlRefused,
    Selector,
    parse_promql,
)

FILE = """
groups:
  - name: api
    interval: 30s
    rules:
      - alert: High error rate
        expr: |
          sum by (service) (rate(http_requests_total{code=~"5.."}[5m]))
            / sum by (service) (rate(http_requests_total[5m])) > 0.05
        for: 10m
        labels: {severity: page, team: core}
        annotations:
          summary: "{{ $labels.service }} fails {{ $value | humanizePercentage }} {of} requests"
          runbook_url: https://wiki.example/errors
      - record: job:requests:rate5m
        expr: sum by (job) (rate(http_requests_total[5m]))
      - alert: Disk
        expr: node_filesystem_avail_bytes < 100
"""


def taken(tmp_path, expr):
    """The one rule an expression becomes, or why it is refused."""
    path = tmp_path / "prom.yaml"
    quoted = expr.replace("'", "''")
    path.write_text(f"groups:\n  - name: g\n    rules:\n      - {{alert: A, expr: '{quoted}'}}\n")
    found = import_prometheus(path)
    return found.rules[0] if found.rules else found.refused[0].message


def test_file_gives_a_file_of_ours_and_says_what_is_left_out(tmp_path):
    (tmp_path / "prom.yaml").write_text(FILE)
    found = import_prometheus(tmp_path / "prom.yaml")
    (rule,) = found.rules
    assert (rule.name, rule.severity, rule.timing.for_s) == ("High-error-rate", "critical", 600.0)
    assert (rule.check.measure, rule.check.window_s) == ("error_rate", 300.0)
    assert rule.check.condition.threshold == 0.05
    assert (rule.group_by, rule.labels) == (("api",), {"team": "core"})
    assert rule.annotations["summary"] == "{api} fails {value} {{of}} requests"
    assert rule.runbook_url == "https://wiki.example/errors"
    assert [p.line for p in found.refused] == [16, 18]
    assert "recording rules are not taken" in found.refused[0].message
    assert "without rate()" in found.refused[1].message


R, H = "http_requests_total", "http_request_duration_seconds"


@pytest.mark.parametrize(
    ("expr", "measure", "condition", "window_s"),
    [
        (f'sum(rate({R}{{code="429"}}[1m])) / sum(rate({R}[1m])) * 100 > 5',
         "rate_limited_rate", (">", 0.05), 60.0),
        (f'100 * (sum(rate({R}{{code=~"4.."}}[1m])) / sum(rate({R}[1m]))) >= 20',
         "client_error_rate", (">=", 0.2), 60.0),
        (f'sum(rate({R}{{code=~"401|403"}}[1m])) / sum(rate({R}[1m])) > 0.3',
         "unauthorized_rate", (">", 0.3), 60.0),
        (f"sum(rate({R}[2m])) < 10", "requests_per_s", ("<", 10.0), 120.0),
        (f"10 > sum(rate({R}[2m]))", "requests_per_s", ("<", 10.0), 120.0),
        (f"sum(increase({R}[1h])) > 1e6", "requests", (">", 1e6), 3_600.0),
        (f'sum(rate({R}{{status=~"5.."}}[5m])) > 0.5', "errors", (">", 150.0), 300.0),
        (f'sum(increase({R}{{status=~"5.."}}[5m])) > 10', "errors", (">", 10.0), 300.0),
        (f"histogram_quantile(0.95, sum by (le) (rate({H}_bucket[5m]))) > 0.8",
         "p95_ms", (">", 800.0), 300.0),
        (f"sum(rate({H}_sum[5m])) / sum(rate({H}_count[5m])) > 0.5",
         "duration_ms_avg", (">", 500.0), 300.0),
        (f"(sum(rate({R}[1m]))) > 2 * 60", "requests_per_s", (">", 120.0), 60.0),
    ],
)  # fmt: skip
def test_expression_that_says_what_a_measure_says_is_taken(
    tmp_path, expr, measure, condition, window_s
):
    rule = taken(tmp_path, expr)
    assert (rule.check.measure, rule.check.window_s) == (measure, window_s)
    found = rule.check.condition
    assert (found.operator, pytest.approx(found.threshold)) == condition


def test_matchers_become_filters(tmp_path):
    expr = f'sum by (route) (rate({R}{{job="orders",env=~"prod|stage"}}[1m])) > 5'
    rule = taken(tmp_path, expr)
    assert dict(rule.filters.active()) == {"api": ("orders",), "environment": ("prod", "stage")}
    assert rule.group_by == ("route",)


def test_absence_is_taken_as_absence(tmp_path):
    rule = taken(tmp_path, f'absent_over_time({R}{{job="orders"}}[10m])')
    assert (rule.kind, rule.check.window_s, rule.filters.api) == ("absence", 600.0, ("orders",))


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        ("up == 0", "up is not known to count requests|without rate"),
        (f"rate({R}[5m]) > 1", "without sum"),
        (f"sum(rate({R}[5m])) > sum(rate({R}[5m] offset 1w))", "'offset' is not supported"),
        (f"sum(rate({R}[5m])) > sum(rate({R}[1m]))", "compares two series"),
        (f"sum(rate({R}[5m]))", "compares nothing"),
        (f"sum without (pod) (rate({R}[5m])) > 1", "'without' is not supported"),
        (f"max(rate({R}[5m])) > 1", "is not sum"),
        (f"sum by (pod) (rate({R}[5m])) > 1", "'pod' is no dimension"),
        (f'sum(rate({R}{{code!~"2.."}}[5m])) > 1', "matched in a way"),
        (f'sum(rate({R}{{code="418"}}[5m])) > 1', "status '418'"),
        (f'sum(rate({R}{{job!="x"}}[5m])) > 1', "leaves something out"),
        (f'sum(rate({R}{{job=~"or.*"}}[5m])) > 1', "is a pattern"),
        (f"sum(rate({R}[5m])) / sum(rate({R}[1m])) > 1", "same window"),
        (f"histogram_quantile(0.42, sum by (le) (rate({H}_bucket[5m]))) > 1", "quantile 0.42"),
        (f"histogram_quantile(0.9, sum(rate({R}[5m]))) > 1", "other than buckets"),
        (f"deriv({R}[5m]) > 1", "has no measure"),
        (f"max_over_time(rate({R}[5m])[1h:1m]) > 1", "'|subqueries|cannot|expected"),
        (f"sum(rate({R}[5m])) > 1 and up", "'and' is not supported"),
        (f"sum(rate({H}_sum[5m])) > 1", "no measure says that"),
        ("sum(rate(http_requests_total[5m]) > 1", "missing"),
        ("sum(rate(ht§tp[5m])) > 1", "cannot be read"),
        ("", "ends|expected"),
    ],
)
def test_expression_that_says_something_else_is_refused_by_name(tmp_path, expr, said):
    reason = taken(tmp_path, expr)
    assert isinstance(reason, str), reason
    assert any(part in reason for part in said.split("|"))


def test_tree_of_an_expression():
    matchers = (LabelMatch("a", "=", 'x"y'), LabelMatch("b", "!~", "z"))
    rate = Call("rate", (Selector("m", matchers, 300.0),))
    doubled = Binary("*", Aggregation("sum", ("c",), rate), Number(2.0))
    text = 'sum(rate(m{a="x\\"y", b!~"z"}[5m])) by (c) * 2 > 1'
    assert parse_promql(text) == Binary(">", doubled, Number(1.0))


def test_file_that_is_no_rule_file_is_refused_with_its_line(tmp_path):
    (tmp_path / "x.yaml").write_text("rules: []")
    with pytest.raises(ConfigInvalid, match="lacks 'groups'"):
        import_prometheus(tmp_path / "x.yaml")


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet='abc_:(){}[]=~!<>,."5m*/+- \n#', max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        parse_promql(text)
    except PromqlRefused as err:
        assert str(err)


def test_deep_nesting_is_refused_before_the_stack_ends():
    with pytest.raises(PromqlRefused, match="nested too deeply"):
        parse_promql("(" * 2_000 + "1")
