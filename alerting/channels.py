"""Channel files: YAML in, channels and routes out, every mistake told with its line.

channels:
  - name: on-call
    type: webhook            # webhook, alertmanager, slack, pagerduty, opsgenie, teams,
                             # discord, telegram, email, apprise
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
    - match: [severity=critical]
      channels: [payments-on-call]           # a rotation stands for whoever has the turn
      escalate:                              # unless somebody acknowledges
        - {after: 15m, channels: [on-call]}
rotations:
  - name: payments-on-call
    channels: [ana, ben, mail]               # one channel per person, in the order of turns
    starts: "2026-11-02 09:00"               # a handover, by the local clock
    every: 1w
    time_zone: Europe/Berlin
    overrides: [{from: "2026-12-24 09:00", to: "2026-12-27 09:00", channel: ben}]
maintenance:                                 # judged and shown, not told
  - name: monthly-upgrade
    match: [gateway=kong]                    # none = every alert
    during: [nights]                         # recurring; or from: and to: for once
    reason: rolling restart
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

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import cast
from zoneinfo import ZoneInfo

from alerting.channel import ChannelConfig, ChannelType
from alerting.errors import AddressRefused
from alerting.maintenance import MaintenanceWindow
from alerting.matchers import Matcher, parse_matcher
from alerting.net_guard import Network, parse_networks, split_url
from alerting.notify_apprise import apprise_installed
from alerting.on_call import Override, Rotation
from alerting.routes import GROUP_BY_ALL, Escalation, Inhibition, Route
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
        "apprise": ("url",),
    }
)
"""What each type cannot do without."""

_SECRET_URL = ("slack", "teams", "discord", "apprise")
"""Whoever knows the address may post: it must be a reference."""


_APPRISE_HINT = "Run: pip install 'gatelens[apprise]'"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Everything a channels file says. No channel = alerts are shown and sent nowhere."""

    channels: Mapping[str, ChannelConfig]
    root: Route
    inhibitions: tuple[Inhibition, ...] = ()
    rotations: tuple[Rotation, ...] = ()
    maintenance: tuple[MaintenanceWindow, ...] = ()


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
        rotations = {r.name: r for s in top.sections("rotations") if (r := _rotation(s, channels))}
        for twice in rotations.keys() & channels.keys():
            problems.add(top.line_of("rotations"), f"{twice!r} is a channel and a rotation.")
        maintenance = tuple(
            window for s in top.sections("maintenance") for window in _windows(s, intervals)
        )
        section_or_none = top.section("route")
        root = Route("root", tuple(channels))
        if section_or_none is not None:
            root = _route(section_or_none, root, intervals, (*channels, *rotations))
        top.finish()
        delivery = Delivery(
            MappingProxyType(channels), root, inhibitions, tuple(rotations.values()), maintenance
        )
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
    if kind == "apprise" and not apprise_installed():
        section.wrong("type", "The apprise library is not installed.", _APPRISE_HINT)
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
    channels: Collection[str],
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
        escalations=_escalations(section, parent, channels),
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


def _escalations(
    section: Section, parent: Route, channels: Collection[str]
) -> tuple[Escalation, ...]:
    if "escalate" not in section:
        return parent.escalations
    steps = []
    for item in section.sections("escalate"):
        item.title = "an escalation step"
        step = Escalation(
            item.duration_s("after", positive=True), item.texts("channels", choices=channels)
        )
        if not step.channels or not step.after_s:
            item.wrong("after", "An escalation step needs 'after' and 'channels'.")
        item.finish()
        steps.append(step)
    return tuple(sorted(steps, key=lambda step: step.after_s))


def _rotation(section: Section, channels: Collection[str]) -> Rotation | None:
    name = section.text("name", required=True)
    section.title = f"rotation {name!r}"
    people = section.texts("channels", choices=channels)
    zone = _zone(section)
    starts = _local(section, "starts", required=True)
    every_s = section.duration_s("every", 604_800.0, positive=True)
    overrides = []
    for item in section.sections("overrides"):
        item.title = "an override"
        first, last = _local(item, "from", required=True), _local(item, "to", required=True)
        channel = item.text("channel", required=True, choices=tuple(channels))
        item.finish()
        if first is not None and last is not None:
            if last <= first:
                item.wrong("to", "The override would end before it starts.")
            starts_at, ends_at = _epoch(first, zone), _epoch(last, zone)
            overrides.append(Override(name, channel, starts_at, ends_at))
    if not people:
        section.wrong("channels", "A rotation needs channels that take turns.")
    section.finish()
    if starts is None or not people:
        return None
    return Rotation(name, people, starts, every_s, zone, tuple(overrides))


def _windows(section: Section, intervals: Mapping[str, TimeInterval]) -> list[MaintenanceWindow]:
    """One window per interval of `during`, or the one from `from` to `to`."""
    name = section.text("name", required=True)
    section.title = f"maintenance window {name!r}"
    matchers = _matchers(section, "match")
    zone = _zone(section)
    first, last = _local(section, "from"), _local(section, "to")
    recurring: tuple[TimeInterval | None, ...] = _named(section, "during", intervals)
    reason = section.text("reason")
    if not recurring and (first is None or last is None):
        section.wrong("name", "A maintenance window needs 'from' and 'to', or 'during'.")
    if first is not None and last is not None and last <= first:
        section.wrong("to", "The window would end before it starts.")
    section.finish()
    starts_at = None if first is None else _epoch(first, zone)
    ends_at = None if last is None else _epoch(last, zone)
    return [
        MaintenanceWindow(name, matchers, starts_at, ends_at, recurs, reason=reason)
        for recurs in recurring or (None,)
    ]


def _local(section: Section, name: str, *, required: bool = False) -> datetime | None:
    """A time of the local clock, without a zone. None with a problem added when it is none."""
    raw = section.text(name, required=required)
    if not raw:
        return None
    try:
        found = datetime.fromisoformat(raw)
    except ValueError:
        section.wrong(name, f"{raw!r} is no time.", 'Write "2026-11-02 09:00".')
        return None
    if found.tzinfo is not None:
        section.wrong(name, "The time has a zone of its own.", "Leave it out; set 'time_zone'.")
        return None
    return found


def _epoch(local: datetime, zone: str) -> float:
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).timestamp()


def _zone(section: Section) -> str:
    zone = section.text("time_zone", "UTC")
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        section.wrong("time_zone", f"{zone!r} is no time zone.", "Write Europe/Berlin.")
        return "UTC"
    return zone


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
    zone = _zone(section)
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
