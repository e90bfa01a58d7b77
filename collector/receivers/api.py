"""The shape of a native HTTP endpoint: what it takes and how it answers. No I/O here.

`door.py` reads the body, hands it to the intake and sends what an endpoint says. An endpoint is
stateless: the same request gets the same answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import orjson

from collector.decompress import parse_encoding
from collector.errors import CollectorError, WrongMethod, answer_for, retry_after_s
from collector.limits import STATUS_MESSAGE_CHARS_MAX
from collector.payload import Content, Format


@dataclass(frozen=True, slots=True)
class Request:
    """The head of an HTTP request."""

    method: str
    path: str
    query: str = ""
    """Raw, without the question mark."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case; the last of several counts."""

    def header(self, name: str) -> str:
        """'' where it is absent."""
        return self.headers.get(name, "")

    @property
    def media_type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()

    def parameter(self, name: str) -> str:
        """A query parameter; '' where it is absent."""
        for key, value in parse_qsl(self.query, keep_blank_values=True, max_num_fields=100):
            if key == name:
                return value
        return ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. An empty body has no Content-Type."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """What to store of a body."""

    body: bytes
    encoding: str
    """As `Incoming.encoding`."""
    note: object = None
    """Whatever the endpoint needs for its answer."""


class NativeApi(ABC):
    """One protocol's HTTP side."""

    format: Format
    needs_plain = False
    """Whether `prepare` wants the decompressed body too."""

    @abstractmethod
    def takes(self, method: str, path: str) -> bool:
        """Whether a request is this protocol's."""

    def other(self, request: Request) -> Reply | None:
        """The answer to what is no data (health, handshakes); None = it is data."""
        return None

    def check(self, request: Request) -> None:
        """Raise what a data request is refused with before its body is read."""
        if request.method != "POST":
            raise WrongMethod

    def content(self, request: Request) -> Content:
        """How the body is written. Raises UnsupportedContentType."""
        return "json"

    def encoding(self, request: Request) -> str:
        """How the body is compressed. Raises UnsupportedEncoding."""
        return parse_encoding(request.header("content-encoding"))

    def authorization(self, request: Request) -> str:
        """The credential as an Authorization value that `TokenBook` reads."""
        return request.header("authorization")

    def prepare(self, request: Request, wire: bytes, plain: bytes, encoding: str) -> Prepared:
        """What to store. `plain` is b'' unless `needs_plain`. Raises MalformedBody."""
        return Prepared(wire, encoding)

    @abstractmethod
    def accepted(self, request: Request, rejected: int, message: str, note: object) -> Reply:
        """The answer once the data is durable. `rejected`: records stored as rejects only."""

    def refused(self, request: Request, error: Exception) -> Reply:
        """The answer to an error: its own status, one sentence of text."""
        return Reply(
            answer_for(error).http,
            message_of(error).encode(),
            "text/plain; charset=utf-8",
            retry_headers(error),
        )


def message_of(error: Exception) -> str:
    """One sentence for the sender; foreign exceptions stay ours."""
    text = str(error) if isinstance(error, CollectorError) else "Internal error; try again."
    return text[:STATUS_MESSAGE_CHARS_MAX]


def retry_headers(error: Exception) -> tuple[tuple[str, str], ...]:
    """Retry-After where trying again makes sense."""
    if not answer_for(error).retry:
        return ()
    return (("Retry-After", str(retry_after_s(error))),)


def json_reply(status: int, value: object, *headers: tuple[str, str]) -> Reply:
    return Reply(status, orjson.dumps(value), headers=headers)
