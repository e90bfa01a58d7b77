"""Slack, Microsoft Teams, Discord and Telegram: one short message per notification.

Telemetry decides part of the text, so every service's markup is switched off or escaped: a label
can neither mention a channel nor carry a link.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import orjson

from alerting.channel import ChannelConfig
from alerting.http_post import post
from alerting.notice import Notice, NoticeAlert
from alerting.notify_webhook import channel_url
from alerting.secret_refs import read_secret
from alerting.templates import cut

LINES_MAX = 10
"""Alerts named in a chat message; the rest is a number."""

JsonObject = dict[str, object]
_RED, _GREEN = 0xC62828, 0x2E7D32


def alert_lines(notice: Notice) -> Iterator[tuple[NoticeAlert, str]]:
    """The first alerts, each with its one-line text."""
    for alert in notice.alerts[:LINES_MAX]:
        said = alert.annotations.get("summary") or alert.labels.get("alertname", "alert")
        yield alert, f"{alert.status}: {said}"


def left_out(notice: Notice) -> int:
    return max(0, len(notice.alerts) - LINES_MAX) + notice.truncated_alerts


def slack_payload(notice: Notice) -> JsonObject:
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: fallback text and
    blocks. A section's text has at most 3,000 characters, a header's 150."""
    lines = [cut(_slack_text(text), 250) for _, text in alert_lines(notice)]
    if left_out(notice):
        lines.append(f"... and {left_out(notice)} more")
    header = {"type": "plain_text", "text": cut(notice.title, 150), "emoji": False}
    blocks: list[JsonObject] = [
        {"type": "header", "text": header},
        {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines), "verbatim": True}},
    ]
    link = _link(notice)
    if link:
        button = {"type": "plain_text", "text": "Open in Gatelens"}
        blocks.append(
            {"type": "actions", "elements": [{"type": "button", "text": button, "url": link}]}
        )
    return {"text": _slack_text(notice.title), "blocks": blocks}


def teams_payload(notice: Notice) -> JsonObject:
    """A workflow webhook's message with an Adaptive Card. Text runs take no markdown.

    https://learn.microsoft.com/connectors/teams/#request-body-schema
    """
    colour = "Attention" if notice.status == "firing" else "Good"
    lines = [text for _, text in alert_lines(notice)]
    if left_out(notice):
        lines.append(f"... and {left_out(notice)} more")
    body: list[JsonObject] = [
        _text_run(notice.title, weight="Bolder", size="Medium", color=colour),
        *(_text_run(line) for line in lines),
    ]
    link = _link(notice)
    card: JsonObject = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": body,
        "msteams": {"width": "full"},
    }
    if link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in Gatelens", "url": link}]
    kind = "application/vnd.microsoft.card.adaptive"
    return {
        "type": "message",
        "attachments": [{"contentType": kind, "contentUrl": None, "content": card}],
    }


def discord_payload(notice: Notice) -> JsonObject:
    """https://discord.com/developers/docs/resources/webhook#execute-webhook: one embed, whose title
    has at most 256 characters and its description 4,096. No mention is ever resolved."""
    lines = [cut(text, 300) for _, text in alert_lines(notice)]
    if left_out(notice):
        lines.append(f"... and {left_out(notice)} more")
    embed: JsonObject = {
        "title": cut(notice.title, 256),
        "description": cut(_discord_text("\n".join(lines)), 4096),
        "color": _RED if notice.status == "firing" else _GREEN,
    }
    if link := _link(notice):
        embed["url"] = link
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def telegram_payload(notice: Notice, chat: str) -> JsonObject:
    """https://core.telegram.org/bots/api#sendmessage: plain text, at most 4,096 characters."""
    lines = [notice.title, *(text for _, text in alert_lines(notice))]
    if left_out(notice):
        lines.append(f"... and {left_out(notice)} more")
    if link := _link(notice):
        lines.append(link)
    options = {"is_disabled": True}
    return {"chat_id": chat, "text": cut("\n".join(lines), 4096), "link_preview_options": options}


def send_slack(channel: ChannelConfig, notice: Notice, now: float) -> None:
    """Raises DeliveryFailed or SecretMissing; so do the others here."""
    _post(channel, channel_url(channel), slack_payload(notice))


def send_teams(channel: ChannelConfig, notice: Notice, now: float) -> None:
    _post(channel, channel_url(channel), teams_payload(notice))


def send_discord(channel: ChannelConfig, notice: Notice, now: float) -> None:
    _post(channel, channel_url(channel), discord_payload(notice))


def send_telegram(channel: ChannelConfig, notice: Notice, now: float) -> None:
    base = channel_url(channel) if channel.url else "https://api.telegram.org"
    url = f"{base.rstrip('/')}/bot{read_secret(channel.token)}/sendMessage"
    for chat in channel.to:
        _post(channel, url, telegram_payload(notice, chat))


def _post(channel: ChannelConfig, url: str, payload: JsonObject) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "gatelens"}
    post(url, orjson.dumps(payload), headers, allowed=channel.allow_networks)


def _slack_text(text: str) -> str:
    """Slack's three control characters; without '<' nothing is a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _discord_text(text: str) -> str:
    """Markdown characters escaped, so that a label cannot become a link."""
    return "".join(f"\\{c}" if c in "\\*_~`|[]()<>#-" else c for c in text)


def _text_run(text: str, **style: str) -> JsonObject:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}


def _link(notice: Notice) -> str:
    """Where the first alert is shown; '' when that is no web address."""
    url = notice.alerts[0].generator_url if notice.alerts else notice.external_url
    return url if urlsplit(url).scheme in ("http", "https") else ""
