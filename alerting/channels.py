"""Channel files: YAML in, channels and routes out, every mistake told with its line.

channels:
  - name: on-call
    type: webhook            # webhook, alertmanager, slack, pagerduty, opsgenie, teams,
                             # discord, telegram, email
    url: https://hooks.example/alerts        # or env:NAME / file:/path where it is a secret
    secret: env:HOOK_SECRET                  # HMAC key; webhook only
    allow_networks: [127.0.0.0/8]            # private places this channel may call
    send_resolved: true
    rate_per_minute: 60
  - name: mail
    type: email
    smtp_host: mail.example
    smtp_tls: starttls
    sender: gatelens@example.com
    to: [team@example.com]
route:                       # none: every channel hears of every alert
  channels: [on-call]
  group_by: [alertname]      # '...' = every alert by itself
  group_wait: 0s
  group_interval: 5s
  repeat_interval: 4h
  routes:
    - match: [severity=info]
      channels: [mail]
      mute_during: [nights]
      continue: false
inhibit:
  - source: [severity=critical]
    target: [severity=~"warning|info"]
    equal: [api]
time_intervals:
  - name: nights
    times: ["22:00-06:00"]
    weekdays: ["monday:friday"]
    time_zone: Europe/Berlin
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import cast
from zoneinfo import ZoneInfo

from alerting.channel import ChannelConfig, ChannelType
from alerting.errors import AddressRefused
from alerting.matchers import Matcher, parse_matcher
from alerting.net_guard import Network, parse_networks, split_url
from alerting.routes import GROUP_BY_ALL, Inhibition, Route
from alerting.secret_refs import is_reference
from alerting.time_intervals import TimeInterval, parse_times, parse_weekdays
from alerting.yaml_section import Problems, Section, near_miss, read_text, read_yaml

_NEEDS: Mapping[ChannelType, tuple[str, ...]] = MappingProxyType(
    {
        "webhook": ("url",),
        "alertmanager": ("url",),
        "slack": ("url",),
        "teams": ("url",),
        "discord": ("url",),
        "pagerduty": ("token",),
        "opsgenie": ("token",),
        "telegram": ("token", "to"),
        "email": ("smtp_host", "sender", "to"),
    }
)
"""What each type cannot do without."""

_SECRET_URL = ("slack", "teams", "discord")
"""Whoever knows the address may post: it must be a reference."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Everything a channels file says. No channel = alerts are shown and sent nowhere."""

    channels: Mapping[str, ChannelConfig]
    root: Route
    inhibitions: tuple[Inhibition, ...] = ()


def deliver_to(*channels: ChannelConfig, group_interval_s: float = 5.0) -> Delivery:
    """Every alert to every one of these channels, at the default rhythm."""
    names = tuple(c.name for c in channels)
    root = Route("root", names, group_interval_s=group_interval_s)
    return Delivery(MappingProxyType({c.name: c for c in channels}), root)


def load_delivery(path: Path | None) -> Delivery:
    """Channels and routes of a file; None = no channels. Raises ConfigInvalid with all mistakes."""
    if path is None:
        return deliver_to()
    problems = Problems(str(path))
    text = read_text(path, problems)
    problems.raise_if_any()
    return parse_delivery(text, file=str(path))


def parse_delivery(text: str, *, file: str = "channels") -> Delivery:
    """Channels and routes of one text. Raises ConfigInvalid."""
    problems = Problems(file)
    delivery = deliver_to()
    top = read_yaml(text, problems)
    if top is not None:
        channels: dict[str, ChannelConfig] = {}
        for section in top.sections("channels", required=True):
            channel = _channel(section)
            if channel.name in channels:
                section.wrong("name", f"Channel {channel.name!r} is there twice.")
            channels[channel.name] = channel
        intervals = {i.name: i for i in map(_interval, top.sections("time_intervals"))}
        inhibitions = tuple(map(_inhibition, top.sections("inhibit")))
        section_or_none = top.section("route")
        root = Route("root", tuple(channels))
        if section_or_none is not None:
            root = _route(section_or_none, root, intervals, channels)
        top.finish()
        delivery = Delivery(MappingProxyType(channels), root, inhibitions)
    problems.raise_if_any()
    return delivery


def _channel(section: Section) -> ChannelConfig:
    name = section.text("name", required=True)
    section.title = f"channel {name!r}"
    kind = cast(ChannelType, section.text("type", required=True, choices=tuple(_NEEDS)))
    channel = ChannelConfig(
        name=name,
        type=kind,
        url=_address(section, kind),
        secret=_reference(section, "secret"),
        token=_reference(section, "token"),
        send_resolved=section.flag("send_resolved", True),
        allow_networks=_networks(section),
        smtp_host=section.text("smtp_host"),
        smtp_port=int(section.number("smtp_port", 587, minimum=1)),
        smtp_tls=section.text("smtp_tls", "starttls", choices=("starttls", "tls", "none")),  # type: ignore[arg-type]
        smtp_user=section.text("smtp_user"),
        sender=section.text("sender"),
        to=section.texts("to"),
        rate_per_minute=int(section.number("rate_per_minute", 60, minimum=1)),
    )
    for needed in _NEEDS.get(kind, ()):
        if not getattr(channel, needed) and needed not in section:
            section.wrong("type", f"A {kind} channel needs {needed!r}.")
    section.finish()
    return channel


def _address(section: Section, kind: str) -> str:
    url = section.text("url")
    if not url or is_reference(url):
        return url
    if kind in _SECRET_URL:
        section.wrong("url", f"The address of a {kind} channel is a secret.", "Write env:NAME.")
        return ""
    try:
        split_url(url)
    except AddressRefused as err:
        section.wrong("url", err.message, err.hint)
    return url


def _reference(section: Section, name: str) -> str:
    value = section.text(name)
    if value and not is_reference(value):
        section.wrong(name, f"{name!r} must not be in the file.", "Write env:NAME or file:/path.")
        return ""
    return value


def _networks(section: Section) -> tuple[Network, ...]:
    try:
        return parse_networks(section.texts("allow_networks"))
    except ValueError as err:
        section.wrong("allow_networks", f"{err}.", "Write 10.0.0.0/8 or one address.")
        return ()


def _route(
    section: Section,
    parent: Route,
    intervals: Mapping[str, TimeInterval],
    channels: Mapping[str, ChannelConfig],
) -> Route:
    section.title = "a route"
    route = replace(
        parent,
        channels=section.texts("channels", parent.channels, choices=channels),
        matchers=_matchers(section, "match"),
        group_by=section.texts("group_by", parent.group_by),
        group_wait_s=section.duration_s("group_wait", parent.group_wait_s),
        group_interval_s=section.duration_s(
            "group_interval", parent.group_interval_s, positive=True
        ),
        repeat_interval_s=section.duration_s(
            "repeat_interval", parent.repeat_interval_s, positive=True
        ),
        mute_during=_named(section, "mute_during", intervals),
        active_during=_named(section, "active_during", intervals),
        continues=section.flag("continue"),
        children=(),
    )
    if GROUP_BY_ALL in route.group_by and len(route.group_by) > 1:
        section.wrong("group_by", f"{GROUP_BY_ALL!r} stands alone.")
    children = [
        _route(child, replace(route, name=f"{route.name}/{i}"), intervals, channels)
        for i, child in enumerate(section.sections("routes"))
    ]
    section.finish()
    return replace(route, children=tuple(children))


def _matchers(section: Section, name: str) -> tuple[Matcher, ...]:
    found = []
    for text in section.texts(name):
        try:
            found.append(parse_matcher(text))
        except ValueError as err:
            section.wrong(name, f"{err}.")
    return tuple(found)


def _named(
    section: Section, name: str, intervals: Mapping[str, TimeInterval]
) -> tuple[TimeInterval, ...]:
    found = []
    for word in section.texts(name):
        if word in intervals:
            found.append(intervals[word])
        else:
            section.wrong(name, f"No time interval is called {word!r}.", near_miss(word, intervals))
    return tuple(found)


def _inhibition(section: Section) -> Inhibition:
    section.title = "an inhibition"
    source, target = _matchers(section, "source"), _matchers(section, "target")
    if not source or not target:
        section.wrong("source", "An inhibition needs 'source' and 'target' matchers.")
    rule = Inhibition(source, target, section.texts("equal"))
    section.finish()
    return rule


def _interval(section: Section) -> TimeInterval:
    name = section.text("name", required=True)
    section.title = f"time interval {name!r}"
    days: set[int] = set()
    for text in section.texts("weekdays"):
        found = parse_weekdays(text)
        if found is None:
            section.wrong("weekdays", f"{text!r} names no days.", "Write monday or monday:friday.")
        days |= found or frozenset()
    minutes = []
    for text in section.texts("times"):
        span = parse_times(text)
        if span is None:
            section.wrong("times", f"{text!r} is no time of day.", 'Write "22:00-06:00".')
        else:
            minutes.append(span)
    zone = section.text("time_zone", "UTC")
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        section.wrong("time_zone", f"{zone!r} is no time zone.", "Write Europe/Berlin.")
        zone = "UTC"
    interval = TimeInterval(
        name,
        frozenset(days),
        tuple(minutes),
        _numbers(section, "days_of_month", 31),
        _numbers(section, "months", 12),
        zone,
    )
    section.finish()
    return interval


def _numbers(section: Section, name: str, highest: int) -> frozenset[int]:
    found = set()
    for text in section.texts(name):
        if text.isascii() and text.isdigit() and 1 <= int(text) <= highest:
            found.add(int(text))
        else:
            section.wrong(name, f"{text!r} is not between 1 and {highest}.")
    return frozenset(found)
