"""What services are sent against their documented schemas, judged by readers that are not ours:
JSON Schema for PagerDuty, Teams and Opsgenie, Slack's own library for its blocks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from slack_sdk.models.blocks import Block

from alerting.notify_chat import slack_payload, teams_payload
from alerting.notify_pager import opsgenie_payload, pagerduty_payload
from tests.alerting.test_senders import HOSTILE, notice

NOTICES = {
    "one": notice(),
    "resolved": notice("resolved"),
    "a storm": notice(alerts=250),
    "hostile": notice(name=HOSTILE * 40),
    "long": notice(name="x" * 5_000),
    "nameless": notice(name=""),
}
PAYLOADS = {
    "pagerduty": lambda one: pagerduty_payload(one, "key"),
    "teams": teams_payload,
    "opsgenie": opsgenie_payload,
}


def schema(service):
    text = (Path(__file__).parent / "schemas" / f"{service}.json").read_text(encoding="utf-8")
    found = json.loads(text)
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("case", NOTICES)
@pytest.mark.parametrize("service", PAYLOADS)
def test_payload_follows_the_documented_schema(service, case):
    payload = json.loads(json.dumps(PAYLOADS[service](NOTICES[case])))
    assert [e.message[:300] for e in schema(service).iter_errors(payload)] == []


@pytest.mark.parametrize(
    ("service", "broken"),
    [
        ("pagerduty", {"routing_key": "k", "event_action": "trigger"}),
        ("pagerduty", {"routing_key": "k", "event_action": "resolve"}),
        ("teams", {"type": "message", "attachments": [{"contentType": "text/html", "content": 1}]}),
        ("opsgenie", {"message": "x" * 131}),
    ],
)
def test_schemas_refuse_what_the_services_refuse(service, broken):
    assert not schema(service).is_valid(broken)


@pytest.mark.parametrize("case", NOTICES)
def test_slack_s_own_library_takes_the_blocks(case):
    payload = slack_payload(NOTICES[case])
    blocks = Block.parse_all(payload["blocks"])
    assert [block.type for block in blocks] == ["header", "section", "actions"]
    for block in blocks:
        block.validate_json()
