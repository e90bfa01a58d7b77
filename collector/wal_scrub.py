"""Secrets taken out of a body before it is appended to the write-ahead log (setting `wal_scrub`).

Off, the log holds bodies as they were sent until they are in the lake. On, what `privacy_rules.py`
would take out of rows is taken out of the body first: the log, a replay and the lake then hold
nothing else. Looked for:

    JSON            values under the names of credentials (`authorization`, `x-api-key`, `api_key`,
                    cookies, passwords, …), alone, in lists, as OTLP attributes, in JSON inside of
                    JSON; `raw_request`, `raw_response` and `querystring`; what formats have besides
                    (`_OWN`)
    any text        `name: value` and `name=value` of such headers, query parameters of the tenant's
                    policy, `user:password@` in URLs
    protobuf        all of the above in its strings and in attributes and maps of such names

Credentials that formats know callers by are sealed, the others become REDACTED: a sealed one is
what `hash_credential` makes of it, marked so that the decoder takes it for what it is. So rows are
the same with `wal_scrub` and without.

A body in which no name of a secret occurs is not touched, and costs one search. Every pattern is
linear in the body: no repetition can be cut in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.message import Message

from collector.payload import Content
from collector.privacy import seal_credential

REDACTED = "REDACTED"

_NAMES = (
    r"(?:proxy-|x-)?authorization|(?:set-)?cookie|(?:x-|http_x_)?api[-_]?key|x-auth-token"
    r"|x-access-token|x-amz-security-token|[a-z-]{0,40}subscription-key|(?:access|id|refresh)_token"
    r"|passw(?:or)?d|client_secret|secret"
)
_PREFIX = (
    r"(?:(?:http\.)?(?:request|response)\.headers?\.|http[._]|headers\.|request[._]|response\."
    r"|downstream_|origin_|tyk\.api\.)?"
)
"""Twin: `_HOLDERS` in privacy_rules.py."""
_STRING = r'"(?:[^"\\]|\\.)*"'
_NAME = re.compile(rf"{_PREFIX}(?:{_NAMES})\Z", re.I)

_HINTS = (
    r"authorization|cookie|api[-_]?key|subscription-key|[-_]token|passw|secret|raw_re"
    r"|://[^/\s@]{1,200}@"
)
"""What a body with a secret has in it. RE2, which pyarrow has, looks 25 times faster than `re`."""

_HINT = re.compile(_HINTS.encode(), re.I)
_JSON = re.compile(
    rf'("{_PREFIX}(?:{_NAMES})"\s*:\s*)({_STRING}|\[\s*(?:{_STRING}[\s,]*)*\])'.encode(), re.I
)
_ATTRIBUTE = re.compile(
    rf'("key"\s*:\s*"{_PREFIX}(?:{_NAMES})"\s*,\s*"value"\s*:\s*)'
    rf'(\{{(?:[^{{}}"]|{_STRING}|\{{(?:[^{{}}"]|{_STRING}|\{{(?:[^{{}}"]|{_STRING})*\}})*\}})*\}})'.encode(),
    re.I,
)
_ATTRIBUTE_TEXT = re.compile(rf'("stringValue"\s*:\s*){_STRING}'.encode())
_NESTED = re.compile(rf'(\\"{_PREFIX}(?:{_NAMES})\\"\s*:\s*\\")((?:[^"\\]|\\[^"])*)'.encode(), re.I)
_RAW = re.compile(rf'("raw_re(?:quest|sponse)"\s*:\s*){_STRING}'.encode())
_QUERYSTRING = re.compile(
    rf'("querystring"\s*:\s*\{{)(?:[^{{}}"]|{_STRING})*(?=\}})'.encode(), re.I
)
"""Kong's and APISIX's parsed query; nobody reads it, the path is elsewhere."""
_OWN = {
    "apigee": re.compile(rf'("client_id"\s*:\s*)({_STRING})'.encode()),
    "apipark": re.compile(
        rf'("(?:proxy_)?(?:request|response|proxy)_body"\s*:\s*)({_STRING})'.encode()
    ),
}
"""Format -> values that are credentials, or hold any, in that format alone."""
_COOKIE = re.compile(rb"(cookie\s{0,8}[:=]\s{0,8})(?!gl-)[^\"\r\n\\,]{1,8192}", re.I)
_HEADER = re.compile(
    rb"((?:authorization|api[-_]?key|[-_]token)\s{0,8}(?:[:=]|%3A)\s{0,8})"
    rb"(?:(?:basic|bearer)(?:\s|\+|%20){1,8})?(?!gl-)[^\"\\,&;\s\]]{1,8192}",
    re.I,
)
_USER = re.compile(rb"(://)[^/\s@\"]{1,200}(?=@)")
_STAYS = frozenset(("", "-", "null", REDACTED, "00000000"))
"""Values that say there is none."""


class Scrubber:
    """Takes secrets out of bodies. `parameters`: query parameters of a tenant's policy.
    `messages`: format -> class of its protobuf message. Thread-safe."""

    def __init__(
        self,
        parameters: Callable[[str], tuple[str, ...]],
        messages: Mapping[str, type[Message]],
    ) -> None:
        self._parameters = parameters
        self._messages = messages

    def scrub(self, format: str, content: Content, tenant: str, body: bytes) -> bytes:
        """The body without secrets; the same object if there are none. `body` was validated."""
        names = self._parameters(tenant)
        if content == "json" and format in _OWN:
            body = _OWN[format].sub(_own_value, body)
        if not _telling([body], _hints(names)):
            return body
        query = _query(names)
        if content != "protobuf":
            found = _text(_json(body), query)
            return body if found == body else found
        kind = self._messages.get(format)
        if kind is None:
            return body
        message = kind.FromString(body)
        message.DiscardUnknownFields()  # nobody reads them; they may hold anything
        _walk(message, query, _hints(names))
        return bytes(message.SerializeToString())


@cache
def _hints(names: tuple[str, ...]) -> str:
    either = "|".join(re.escape(name) for name in names)
    return f"(?i){_HINTS}" + (f"|(?:^|[^a-z0-9_-])(?:{either})=" if names else "")


@cache
def _query(names: tuple[str, ...]) -> re.Pattern[bytes] | None:
    if not names:
        return None
    either = "|".join(re.escape(name) for name in names)
    return re.compile(rf"((?:^|[?&;\"])(?:{either})=)(?!REDACTED)[^&;\s\"'#\\]+".encode(), re.I)


def _own_value(found: re.Match[bytes]) -> bytes:
    named, value = found[1], found[2]
    if b"client_id" in named:
        return named + _sealed_json(value)
    return named + b'""'


def _json(body: bytes) -> bytes:
    body = _RAW.sub(rb'\1""', body)
    body = _QUERYSTRING.sub(rb"\1", body)
    body = _JSON.sub(lambda m: m[1] + _sealed_json(m[2]), body)
    body = _ATTRIBUTE.sub(lambda m: m[1] + _ATTRIBUTE_TEXT.sub(rb'\1"REDACTED"', m[2]), body)
    return _NESTED.sub(rb"\1REDACTED", body)


def _sealed_json(value: bytes) -> bytes:
    try:
        said = orjson.loads(value)
    except ValueError:
        return b'"REDACTED"'
    return orjson.dumps([_seal(v) for v in said] if isinstance(said, list) else _seal(said))


def _seal(value: str) -> str:
    return value if value in _STAYS else seal_credential(value)


def _text(text: bytes, query: re.Pattern[bytes] | None) -> bytes:
    text = _COOKIE.sub(rb"\1REDACTED", text)
    text = _HEADER.sub(rb"\1REDACTED", text)
    text = _USER.sub(rb"\1REDACTED", text)
    return text if query is None else query.sub(rb"\1REDACTED", text)


def _telling(parts: Sequence[bytes], hints: str) -> list[int]:
    """Which of the parts may have a secret in them."""
    told = pc.match_substring_regex(pa.array(parts, pa.binary()), hints)
    return [int(at) for at in np.flatnonzero(told.to_numpy(zero_copy_only=False))]


def _walk(message: Any, query: re.Pattern[bytes] | None, hints: str) -> None:
    """Take secrets out of a message."""
    named = getattr(message, "key", None)
    if isinstance(named, str) and _NAME.match(named) and message.HasField("value"):
        _blank(message.value)
        return
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _walk_map(value, query)
        elif field.type == field.TYPE_MESSAGE:
            for inner in _suspects(value, hints) if field.is_repeated else (value,):
                _walk(inner, query, hints)
        elif field.type == field.TYPE_STRING and field.is_repeated:
            value[:] = [_clean(text, query) for text in value]
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, _clean(value, query))


def _suspects(messages: Any, hints: str) -> list[Any]:
    """Those worth a walk: most spans have no secret, and writing one out again is cheap. A short
    list (attributes) is walked as a whole: asking costs as much."""
    if len(messages) < 32:
        return list(messages)
    return [messages[at] for at in _telling([m.SerializeToString() for m in messages], hints)]


def _walk_map(values: Any, query: re.Pattern[bytes] | None) -> None:
    for key in list(values):
        if isinstance(values[key], str):
            values[key] = _seal(values[key]) if _NAME.match(key) else _clean(values[key], query)


def _blank(value: Any) -> None:
    """Every string inside of an attribute's value becomes REDACTED, whatever it is named."""
    for field, inner in value.ListFields():
        if field.type == field.TYPE_STRING and field.name != "key":
            setattr(value, field.name, REDACTED)
        elif field.type == field.TYPE_BYTES:
            setattr(value, field.name, b"")
        elif field.type == field.TYPE_MESSAGE:
            for one in inner if field.is_repeated else (inner,):
                _blank(one)


def _clean(text: str, query: re.Pattern[bytes] | None) -> str:
    raw = text.encode()
    if not (_HINT.search(raw) or (query is not None and query.search(raw))):
        return text
    return _text(_json(raw), query).decode("utf-8", "replace")
