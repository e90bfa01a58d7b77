from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.errors import ConfigInvalid
from alerting.rule import Condition, parse_condition, say_value
from alerting.rules import builtin_rules, load_rules, parse_rules
from alerting.templates import render
from alerting.yaml_section import parse_duration

GOOD = """\
rules:
  - name: slow
    measure: p95_ms
    condition: "> 2s"
"""


def extra(line):
    """Replacement that adds one line to the rule."""
    return "measure: p95_ms", f"measure: p95_ms\n    {line}"


def problems(text):
    with pytest.raises(ConfigInvalid) as caught:
        parse_rules(text, file="r.yaml")
    return [str(p) for p in caught.value.problems]


def test_builtin_rules_are_valid_and_worded():
    rules = builtin_rules()
    assert {"api-error-ratio", "gateway-silent", "quota-nearly-used"} <= {r.name for r in rules}
    assert all("summary" in rule.annotations for rule in rules)


def test_a_rule_reads_with_its_units():
    (rule,) = parse_rules(GOOD)
    assert rule.check.condition == Condition(">", 2000.0)
    assert (rule.check.window_s, rule.severity, rule.timing.no_data) == (60.0, "warning", "keep")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("measure: p95_ms", "measure: p95_msec", "r.yaml:3: 'measure' cannot be 'p95_msec'. Did"),
        ("condition:", "conditon:", "Did you mean 'condition'?"),
        ('"> 2s"', '"more than 2"', "r.yaml:4: 'more than 2' is no condition."),
        ('"> 2s"', '"> 5%"', "r.yaml:4: '> 5%' is a percentage, but"),
        ("name: slow", "name: 'a b'", "r.yaml:2: 'a b' is no name."),
        (*extra("group_by: [apis]"), "'group_by' cannot have 'apis'. Did you mean 'api'?"),
        (*extra("for: 5 minutes"), "r.yaml:4: 'for' is no duration"),
        (*extra("filters: {apl: x}"), "'filters' has no field 'apl'. Did you mean 'api'?"),
        (*extra("severity: bad"), "'severity' cannot be 'bad'."),
        (*extra("labels: {severity: x}"), "The label 'severity' is set by the rule itself."),
        (*extra("annotations: {summary: '{apis}'}"), "nothing is called {apis}"),
        (*extra("runbook_url: javascript:x"), "must start with https://"),
        (*extra("measure: p99_ms"), "has 'measure' twice"),
        ("measure: p95_ms", "kind: quota\n    runs_out_before_end: 2d", "'condition' or 'runs_out"),
        ("measure: p95_ms", "kind: quota\n    group_by: [api]", "A quota is judged per consumer."),
        ("rules:", "rulez:", "r.yaml:1: The file lacks 'rules'."),
        ("rules:", "x: &a [1]\ny: *a\nrules:", "r.yaml:2: Aliases are not taken."),
        ("rules:\n", "rules: [\n", "r.yaml:"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_line_and_hint(old, new, said):
    assert any(said in problem for problem in problems(GOOD.replace(old, new)))


def test_all_mistakes_of_a_file_are_told_at_once():
    found = problems(GOOD.replace("p95_ms", "x").replace("> 2s", "?") + "    sevrity: info\n")
    assert len(found) == 3


def test_same_name_twice_is_refused_over_files(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    with pytest.raises(ConfigInvalid, match="twice"):
        load_rules(tmp_path)


def test_own_rule_replaces_the_builtin_one(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(GOOD.replace("slow", "api-latency-p95"))
    rules = [r for r in load_rules(path) if r.name == "api-latency-p95"]
    assert [r.file for r in rules] == [str(path)]


def test_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigInvalid, match="cannot be read: No such file"):
        load_rules(tmp_path / "none.yaml")


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_rules_or_problems(text):
    try:
        parse_rules(text)
    except ConfigInvalid as err:
        assert err.problems


@settings(max_examples=50, deadline=None)
@given(
    st.text(max_size=60), st.dictionaries(st.sampled_from(["api", "value"]), st.text(max_size=20))
)
def test_rendering_never_raises_and_never_looks_at_values_again(template, values):
    assert isinstance(render(template, values), str)
    assert render("{api}", {"api": template}) == template


def test_broken_template_still_gives_a_text_with_the_error():
    assert render("{api} {nope}", {"api": "orders"}) == (
        "orders {nope} [template error: nothing is called {nope}; known are api]"
    )
    assert "template error" in render("{api.__class__}", {"api": "x"})
    assert render("{{7*7}} }}", {}) == "{7*7} }"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15s", 15),
        ("1h30m", 5400),
        ("2d", 172800),
        ("0", 0),
        ("5", None),
        ("m", None),
        ("1x", None),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


def test_conditions_and_words():
    assert parse_condition(">= 0.5") == Condition(">=", 0.5)
    assert parse_condition("<5%") == Condition("<", 0.05)
    assert parse_condition("=> 5") is None
    assert say_value(0.0731, "1") == "7.3 %"
    assert say_value(2500.0, "ms") == "2.50 s"
    assert say_value(None, "ms") == "no data"
