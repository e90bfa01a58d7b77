"""Every channel against a real local server, its payload against the service's limits."""

from __future__ import annotations

import email
import json
from email import policy

import pytest

from alerting.channel import ChannelConfig
from alerting.errors import AddressRefused, DeliveryFailed, SecretMissing
from alerting.notice import NoticeAlert, decode_notice, encode_notice, make_notice
from alerting.notify_email import email_message, send_email
from alerting.senders import SENDERS, try_channel
from tests.alerting.world import LOOPBACK, START, running_sink

HOSTILE = "<!channel> @everyone [x](https://evil.example) <script>{{7*7}}\r\nBcc: x@example.com"


def notice(status="firing", *, alerts=1, name="orders", key="k1"):
    found = [
        NoticeAlert(
            status,
            {"alertname": "errors", "severity": "critical", "api": f"{name}{i or ''}"},
            {"summary": f"{name}{i or ''} fails 20 %", "runbook_url": "https://wiki.example/r"},
            START + i,
            None if status == "firing" else START + 60,
            "https://gatelens.example/alerts?alert=abc",
            f"f{i}",
        )
        for i in range(alerts)
    ]
    return make_notice(
        key=key,
        group_key="group-1",
        receiver="x",
        group_labels={"alertname": "errors"},
        alerts=found,
        external_url="https://gatelens.example",
    )


@pytest.fixture
def send(monkeypatch):
    """Send notices through a channel of a type; the paths, headers and JSON bodies received."""

    def run(kind, *notices, **options):
        with running_sink() as sink:
            base = sink.url.removesuffix("/hook")
            monkeypatch.setenv("CHANNEL_URL", base if kind in BASES else sink.url)
            monkeypatch.setenv("CHANNEL_TOKEN", "t0ken")
            channel = ChannelConfig(
                "x", kind, url="env:CHANNEL_URL", token="env:CHANNEL_TOKEN",
                allow_networks=LOOPBACK, **options,
            )  # fmt: skip
            for one in notices:
                SENDERS[kind](channel, one, START + 100)
            return [(h, json.loads(b)) for h, b in sink.received]

    return run


BASES = ("opsgenie", "alertmanager", "telegram")


@pytest.mark.parametrize("kind", sorted(set(SENDERS) - {"email", "apprise"}))
def test_any_notice_is_taken_by_every_channel(send, kind):
    notices = [
        notice(),
        notice("resolved"),
        notice(alerts=250),
        notice(name=HOSTILE),
        notice(name="x" * 5_000),
    ]
    assert len(send(kind, *notices, to=("42",))) == len(notices)


def test_pagerduty_triggers_and_resolves_one_incident(send):
    fired, resolved = (b for _, b in send("pagerduty", notice(alerts=250), notice("resolved")))
    assert (fired["event_action"], resolved["event_action"]) == ("trigger", "resolve")
    assert fired["dedup_key"] == resolved["dedup_key"] == "group-1"
    assert fired["routing_key"] == "t0ken"
    payload = fired["payload"]
    assert {"summary", "source", "severity"} <= payload.keys()
    assert payload["severity"] in ("critical", "error", "warning", "info")
    assert len(payload["summary"]) <= 1024
    assert len(json.dumps(fired)) < 512_000
    assert fired["links"] == [{"href": "https://wiki.example/r", "text": "Runbook"}]


def test_slack_blocks_keep_their_limits_and_carry_no_markup(send):
    ((_, body),) = send("slack", notice(name=HOSTILE * 40, alerts=30))
    header, section, actions = body["blocks"]
    assert (header["type"], header["text"]["type"]) == ("header", "plain_text")
    assert len(header["text"]["text"]) <= 150
    assert len(section["text"]["text"]) <= 3000
    assert "<" not in section["text"]["text"]
    assert "<" not in body["text"]
    assert actions["elements"][0]["url"].startswith("https://gatelens.example/")


def test_discord_embed_keeps_its_limits_and_mentions_nobody(send):
    ((_, body),) = send("discord", notice(name=HOSTILE * 40, alerts=30))
    assert body["allowed_mentions"] == {"parse": []}
    assert len(body["embeds"][0]["title"]) <= 256
    assert len(body["embeds"][0]["description"]) <= 4096
    assert "[x](" not in body["embeds"][0]["description"]


def test_teams_card_is_plain_text_runs(send):
    ((_, body),) = send("teams", notice(name=HOSTILE))
    (attachment,) = body["attachments"]
    assert body["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.2")
    assert {item["type"] for item in card["body"]} == {"RichTextBlock"}
    assert len(json.dumps(body)) < 28_000


def test_telegram_sends_plain_text_to_every_chat(send):
    bodies = [b for _, b in send("telegram", notice(name=HOSTILE * 100), to=("1", "2"))]
    assert [b["chat_id"] for b in bodies] == ["1", "2"]
    assert all(len(b["text"]) <= 4096 and "parse_mode" not in b for b in bodies)


def test_opsgenie_closes_by_alias(send):
    (headers, created), (_, closed) = send("opsgenie", notice(), notice("resolved"))
    assert headers["Authorization"] == "GenieKey t0ken"
    assert (created["alias"], created["priority"]) == ("group-1", "P1")
    assert len(created["message"]) <= 130
    assert closed == {"source": "gatelens"}


def test_alertmanager_gets_alerts_that_last_and_then_end(send):
    (_, (fired,)), (_, (resolved,)) = send("alertmanager", notice(), notice("resolved"))
    assert fired["labels"]["alertname"] == "errors"
    assert fired["endsAt"] > "2026-09-22T"
    assert resolved["endsAt"] == "2026-09-21T14:14:20.000Z"
    assert {"labels", "annotations", "startsAt", "endsAt", "generatorURL"} == fired.keys()


def test_email_arrives_as_text_and_html(smtp):
    send_email(smtp.channel, notice(name=HOSTILE), START)
    ((to, content),) = smtp.messages
    assert to == ["a@example.com", "b@example.com"]
    message = email.message_from_bytes(content, policy=policy.default)
    assert message["Bcc"] is None
    assert message["Subject"].startswith("[FIRING:1] <!channel> @everyone")
    html = message.get_body(("html",)).get_content()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "fails 20 %" in message.get_body(("plain",)).get_content()


def test_email_of_one_group_is_one_thread_and_a_repeat_has_the_same_id(smtp):
    first, again = (email_message(smtp.channel, notice(), START + i) for i in (0, 9))
    later = email_message(smtp.channel, notice("resolved", key="k2"), START)
    assert first["Message-ID"] == again["Message-ID"] != later["Message-ID"]
    assert first["References"] == later["References"]


@pytest.mark.parametrize(("answer", "retry"), [("451 later", True), ("554 no", False)])
def test_email_refusals_are_retried_only_when_temporary(smtp, answer, retry):
    smtp.answer = answer
    with pytest.raises(DeliveryFailed) as failed:
        send_email(smtp.channel, notice(), START)
    assert failed.value.retry is retry


def test_mail_host_on_the_inside_must_be_allowed(smtp):
    channel = ChannelConfig("m", "email", smtp_host="localhost", smtp_port=1, to=("a@b.example",))
    with pytest.raises(AddressRefused):
        send_email(channel, notice(), START)


def test_missing_secret_names_its_reference_only():
    channel = ChannelConfig("p", "pagerduty", token="env:GATELENS_NOT_SET")
    with pytest.raises(SecretMissing, match="env:GATELENS_NOT_SET"):
        SENDERS["pagerduty"](channel, notice(), START)


def test_channel_can_be_tried_without_paging_anybody():
    with running_sink() as sink:
        try_channel(sink.channel(), START)
        assert [n["status"] for n in sink.notices] == ["resolved"]


def test_notice_survives_the_outbox():
    for one in (notice(), notice("resolved", alerts=3), notice(name=HOSTILE)):
        assert decode_notice(encode_notice(one)) == one
