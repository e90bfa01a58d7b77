"""Syslog messages: RFC 5424, RFC 3164 with and without host, and what daemons make of it.

    <34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - 'su root' failed       RFC 5424
    <34>Oct 11 22:14:15 mymachine su: 'su root' failed                           RFC 3164
    <190>Sep 28 12:00:00 nginx: MESSAGE                                          nginx, nohostname
    <134>2026-01-02T03:04:05.6+01:00 host haproxy[71]: MESSAGE                   rsyslog's ISO time

An RFC 3164 time has no year and no zone: the latest year that does not put it more than a day
after reception, and UTC.
What has no priority is a message of user.notice (RFC 3164, 4.3.3). Nothing is refused.

Source: RFC 5424 section 6, RFC 3164 section 4, RFC 6587 (framing).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from collector.errors import MalformedBody
from collector.otlp.logs import Logs
from collector.payload import Payload
from collector.receivers.documents import Document
from collector.receivers.envelopes import Envelopes
from collector.receivers.limits import MESSAGE_BYTES_MAX
from collector.receivers.otlp_wire import log_record
from collector.receivers.severity import SYSLOG_WORDS, syslog_severity
from collector.receivers.times import rfc3339_ns
from collector.receivers.translated import TranslatedFormat, Translation

_PRIORITY = re.compile(r"^<(\d{1,3})>")
_NEW = re.compile(
    r"^1 (\S+) (\S+) (\S+) (\S+) (\S+) (-|(?:\[(?:[^\]\\\"]|\\.|\"(?:[^\"\\]|\\.)*\")*\])+)(?: |$)",
    re.DOTALL,
)
_OLD_TIME = re.compile(r"^([A-Z][a-z]{2})\s+(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:[.,](\d+))?\s+")
_ISO_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT[0-9:.,]+(?:Z|[+-]\d\d:?\d\d)?)\s+")
_TAG = re.compile(r"^([^\s\[\]:]{1,64})(?:\[([^\]\s]{0,64})\])?:(?:\s|$)")
_HOST = re.compile(r"^([^\s\[\]]{1,255}) ")
_ELEMENT = re.compile(
    r"\[([^\s\]=\"]{1,64})((?: [^\s=\]\"]{1,64}=\"(?:[^\"\\]|\\.)*\")*)\]", re.DOTALL
)
_PARAMETER = re.compile(r" ([^\s=\]\"]{1,64})=\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_USER_NOTICE = 13


@dataclass(frozen=True, slots=True)
class SyslogMessage:
    """One message; '' and 0 where a part is missing."""

    facility: int
    severity: int
    time_ns: int
    host: str
    app: str
    process: str
    message_id: str
    message: str
    data: dict[str, str] = field(default_factory=dict)
    """Structured data as `element.parameter`."""


def parse_syslog(line: bytes, received_ns: int) -> SyslogMessage:
    """Never fails: what has no header is all message."""
    text = line.decode("utf-8", "backslashreplace").rstrip("\r\n\0")
    priority = _USER_NOTICE
    match = _PRIORITY.match(text)
    if match is not None and int(match[1]) < 192:
        priority = int(match[1])
        text = text[match.end() :]
    new = _NEW.match(text)
    if new is not None:
        return _rfc5424(priority, new, text[new.end() :])
    return _rfc3164(priority, text, received_ns)


def _rfc5424(priority: int, match: re.Match[str], rest: str) -> SyslogMessage:
    time, host, app, process, message_id, data = ("" if g == "-" else g for g in match.groups())
    return SyslogMessage(
        priority >> 3, priority & 7, rfc3339_ns(time) or 0, host, app, process, message_id,
        rest.removeprefix("\ufeff"), dict(_structured(data)),
    )  # fmt: skip


def _structured(data: str) -> Iterator[tuple[str, str]]:
    for element in _ELEMENT.finditer(data):
        for parameter in _PARAMETER.finditer(element[2]):
            value = re.sub(r"\\([\"\\\]])", r"\1", parameter[2])
            yield f"{element[1]}.{parameter[1]}", value


def _rfc3164(priority: int, text: str, received_ns: int) -> SyslogMessage:
    time_ns, rest = _time(text, received_ns)
    host = app = process = ""
    if time_ns:
        tag = _TAG.match(rest)
        named = _HOST.match(rest) if tag is None else None
        if named is not None:
            host, rest = named[1], rest[named.end() :]
            tag = _TAG.match(rest)
    else:
        tag = None
    if tag is not None:
        app, process, rest = tag[1], tag[2] or "", rest[tag.end() :]
    return SyslogMessage(
        priority >> 3, priority & 7, time_ns, host, app, process, "", rest.lstrip(" ")
    )


def _time(text: str, received_ns: int) -> tuple[int, str]:
    """(epoch ns or 0, what follows)."""
    iso = _ISO_TIME.match(text)
    if iso is not None:
        return rfc3339_ns(iso[1]) or 0, text[iso.end() :]
    old = _OLD_TIME.match(text)
    if old is None or old[1] not in _MONTHS:
        return 0, text
    received = datetime.fromtimestamp(received_ns / 1e9, UTC)
    month, day = _MONTHS.index(old[1]) + 1, int(old[2])
    candidates = []
    for year in (received.year - 1, received.year, received.year + 1):
        try:
            candidates.append(
                datetime(year, month, day, int(old[3]), int(old[4]), int(old[5]), tzinfo=UTC)
            )
        except ValueError:
            continue
    if not candidates:
        return 0, text
    # A day ahead is a clock or a zone; more is last year.
    past = [moment for moment in candidates if moment <= received + timedelta(days=1)]
    latest = max(past, default=candidates[0])
    whole = (latest - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    fraction = int((old[6] or "0")[:9].ljust(9, "0"))
    return whole * 1_000_000_000 + fraction, text[old.end() :]


def split_frames(body: bytes) -> Iterator[bytes]:
    """Messages of a body: `LENGTH SP MESSAGE` after one another, or one per line (RFC 6587, 3.4).

    Raises MalformedBody where a length is no length.
    """
    at = 0
    while at < len(body):
        if not body[at : at + 1].isdigit():
            end = body.find(b"\n", at)
            end = len(body) if end < 0 else end
            if body[at:end].strip():
                yield body[at:end]
            at = end + 1
            continue
        space = body.find(b" ", at, at + 8)
        digits = body[at:space] if space >= 0 else b""
        if not digits.isdigit() or int(digits) > MESSAGE_BYTES_MAX:
            raise MalformedBody("a syslog frame does not begin with its length", at)
        at = space + 1
        if at + int(digits) > len(body):
            raise MalformedBody("a syslog frame is cut short", at)
        yield body[at : at + int(digits)]
        at += int(digits)


def frame(message: bytes) -> bytes:
    """A message in octet counting: how the listeners hand several on."""
    return b"%d %b" % (len(message), message)


def translate_syslog(payload: Payload) -> Translation:
    """Raises MalformedBody."""
    logs = Envelopes()
    for raw in split_frames(payload.body):
        logs.add(_document(parse_syslog(raw, payload.received_unix_nano), payload))
    return Translation(otlp=logs.encode())


def _document(message: SyslogMessage, payload: Payload) -> Document:
    resource = [("service.name", message.app)] if message.app else []
    if message.host:
        resource.append(("host.name", message.host))
    attributes = {"syslog.facility": str(message.facility)}
    if message.process:
        attributes["process.pid"] = message.process
    if message.message_id:
        attributes["syslog.msgid"] = message.message_id
    attributes |= message.data
    return Document(
        tuple(resource),
        log_record(
            time_ns=message.time_ns,
            observed_ns=payload.received_unix_nano,
            body=message.message,
            severity_number=syslog_severity(message.severity),
            severity_text=SYSLOG_WORDS[message.severity],
            attributes=attributes.items(),
        ),
    )


SYSLOG_SNIPPET = """\
# gatelens.toml: listeners are off until one is named; format: what the messages are
[collector]
listeners = ["syslog+udp://127.0.0.1:5514?format=nginx", "syslog+tcp://127.0.0.1:6514"]
# nginx.conf:     access_log syslog:server=127.0.0.1:5514 combined;
# haproxy.cfg:    log 127.0.0.1:5514 local0        (with format=haproxy)
# rsyslog.conf:   *.* @@(o)127.0.0.1:6514          (TCP, octet counting)
# logger(1):      logger --server 127.0.0.1 --port 6514 --tcp --rfc5424 "hello"
"""

SYSLOG = TranslatedFormat(
    name="syslog",
    signal=Logs,
    translate=translate_syslog,
    dedupe=False,
    description=(
        "Syslog RFC 5424 and RFC 3164 over UDP and TCP (octet counting or lines). Messages become "
        "logs; with `format=` the messages of a gateway become requests. UDP is acknowledged by "
        "nobody: what has no room is counted at `/metrics` as dropped."
    ),
    snippet=SYSLOG_SNIPPET,
)
