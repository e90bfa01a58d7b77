from __future__ import annotations

from datetime import UTC, datetime, timedelta

from analytics.log_patterns import Message, find_patterns

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def said(text: str, records: int = 1, service: str = "a", severity: int = 9) -> Message:
    return Message(text, records, service, severity, NOW + timedelta(seconds=records))


def test_words_that_vary_become_wildcards() -> None:
    (found,) = find_patterns(
        [
            said("user ada logged in from berlin", 5),
            said("user bob logged in from oslo", 3, "b", 17),
            said("user eve logged in from rome", 2),
        ]
    )
    assert found.text == "user <*> logged in from <*>"
    assert (found.records, found.services, found.severity_number) == (10, {"a", "b"}, 17)
    assert found.last_seen == NOW + timedelta(seconds=5)


def test_messages_of_other_shape_stay_apart() -> None:
    found = find_patterns([said("order # failed", 4), said("order # failed again", 2), said("ok")])
    assert [(p.text, p.records) for p in found] == [
        ("order # failed", 4),
        ("order # failed again", 2),
        ("ok", 1),
    ]


def test_nothing_is_lost_whatever_the_order() -> None:
    messages = [said(f"job {word} took # ms", n + 1) for n, word in enumerate("abcdefg")]
    forward, backward = find_patterns(messages), find_patterns(messages[::-1])
    assert [(p.text, p.records) for p in forward] == [(p.text, p.records) for p in backward]
    assert sum(p.records for p in forward) == sum(m.records for m in messages)


def test_an_empty_message_is_a_pattern_too() -> None:
    assert [p.records for p in find_patterns([said("", 3)])] == [3]


def test_masked_words_do_not_make_messages_alike() -> None:
    found = find_patterns([said("order # failed", 2), said("order # listed", 1)])
    assert [p.text for p in found] == ["order # failed", "order # listed"]
