"""What a rule begins with when it is made from the screens of logs, traces and metrics."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from alerting.rule_draft import STARTERS
from alerting.rules import parse_rules
from alerting.stored_rules import as_file
from dashboards.rule_starts import rule_start


@pytest.mark.parametrize(
    ("kind", "search", "said"),
    [
        ("log_match", "?q=no+stock+order.id%3D1&service=shop&least=error",
         ["contains: no stock", "service: [shop]", "severity: error", "order.id"]),
        ("trace_match", "?errors=1&ms=200", ["status: error", "slower_than: 200ms"]),
        ("sql", "?metric=queue.size", ["name = 'queue.size'"]),
        ("log_match", "?q=" + quote("""': "{{x}}" | & * !\n- name: evil"""), ["evil"]),
        ("sql", "?metric=" + quote("a' OR '1'='1"), ["'a'' OR ''1''=''1'"]),
    ],
)  # fmt: skip
def test_the_text_is_one_valid_rule_about_what_was_searched(
    kind: str, search: str, said: list[str]
) -> None:
    text = rule_start(kind, search)
    assert [word for word in said if word not in text] == []
    (rule,) = parse_rules(as_file(text))
    assert rule.window_s > 0


@pytest.mark.parametrize("kind", STARTERS)
def test_a_screen_that_searches_nothing_gives_the_example(kind: str) -> None:
    assert rule_start(kind, "?from=now-1h") == STARTERS[kind][1]
