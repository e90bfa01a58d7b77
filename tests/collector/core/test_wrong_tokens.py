"""Guessing tokens: slowed down per address, never at others' cost, and nothing of it written."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import grpc
import orjson
import pytest
import structlog
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from collector.auth import TokenBook
from collector.errors import RateLimited, Unauthenticated
from collector.limits import (
    AUTHORIZATION_CHARS_MAX,
    TOKEN_FILE_CHECK_S,
    WRONG_TOKEN_PEERS_MAX,
    WRONG_TOKENS_BURST_MAX,
    WRONG_TOKENS_PER_S_MAX,
)
from collector.token_file import add_token, make_token, remove_token
from tests.collector.core.doors import eventually, knock, open_collector, query
from tests.collector.core.process import post, traces
from tests.collector.core.test_auth import Clock, basic, entry, write_tokens
from tests.collector.core.test_grpc import TRACES

BURST = int(WRONG_TOKENS_BURST_MAX)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> TokenBook:
    path = write_tokens(tmp_path / "t", entry("gw", "right"), entry("new", "also-right"))
    return TokenBook(path, clock=clock)


def guess(book: TokenBook, times: int, peer: str = "192.0.2.1") -> None:
    for number in range(times):
        with pytest.raises(Unauthenticated):
            book.authenticate(f"Bearer guess-{number}", peer)


def test_guesses_up_to_the_limit_are_answered_and_the_next_is_put_off(book: TokenBook) -> None:
    guess(book, BURST)
    for header in ("Bearer another", "Bearer right"):
        with pytest.raises(RateLimited, match="wrong tokens"):
            book.authenticate(header, "192.0.2.1")


def test_time_forgives(book: TokenBook, clock: Clock) -> None:
    guess(book, BURST)
    clock.now += 1 / WRONG_TOKENS_PER_S_MAX
    guess(book, 1)
    with pytest.raises(RateLimited):
        book.authenticate("Bearer right", "192.0.2.1")
    clock.now += 1 / WRONG_TOKENS_PER_S_MAX
    assert book.authenticate("Bearer right", "192.0.2.1").credential == "gw"


def test_a_sender_known_at_the_address_is_not_put_off_for_its_neighbour(book: TokenBook) -> None:
    book.authenticate("Bearer right", "192.0.2.1")
    guess(book, BURST)
    assert book.authenticate("Bearer right", "192.0.2.1").credential == "gw"
    with pytest.raises(RateLimited):
        book.authenticate("Bearer also-right", "192.0.2.1")
    assert book.authenticate("Bearer also-right", "192.0.2.2").credential == "new"


def test_all_addresses_of_an_ipv6_host_count_as_one(book: TokenBook) -> None:
    for number in range(BURST):
        guess(book, 1, f"2001:db8::{number:x}")
    with pytest.raises(RateLimited):
        book.authenticate("Bearer x", "2001:db8::ffff:1")
    guess(book, 1, "2001:db8:0:1::1")


def test_no_header_is_no_guess(book: TokenBook) -> None:
    for _ in range(BURST + 1):
        with pytest.raises(Unauthenticated):
            book.authenticate("", "192.0.2.1")
    assert book.authenticate("Bearer right", "192.0.2.1").credential == "gw"


def test_what_is_remembered_of_guessers_is_bounded(book: TokenBook) -> None:
    for number in range(WRONG_TOKEN_PEERS_MAX + 10):
        guess(book, 1, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(book._wrong._buckets) == WRONG_TOKEN_PEERS_MAX


def test_a_header_at_the_limit_is_read_and_one_longer_is_not(book: TokenBook) -> None:
    assert book.authenticate("Bearer right".ljust(AUTHORIZATION_CHARS_MAX)).credential == "gw"
    with pytest.raises(Unauthenticated, match="Send a token"):
        book.authenticate("Bearer right".ljust(AUTHORIZATION_CHARS_MAX + 1))


def test_a_revoked_token_is_refused_within_seconds_and_counts_as_a_guess(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "tokens.yaml"
    (token, secret), (other, _) = make_token("a"), make_token("b")
    add_token(path, token)
    add_token(path, other)
    book = TokenBook(path, clock=clock)
    book.authenticate(f"Bearer {secret}", "192.0.2.1")
    assert remove_token(path, "a")
    clock.now += TOKEN_FILE_CHECK_S
    with pytest.raises(Unauthenticated):
        book.authenticate(f"Bearer {secret}", "192.0.2.1")
    guess(book, BURST - 1)
    with pytest.raises(RateLimited):
        book.authenticate(f"Bearer {secret}", "192.0.2.1")


def test_both_doors_put_off_guessers_with_a_retryable_answer(tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path / "tokens", entry("gw", "right"))
    with open_collector(tmp_path / "data", tokens_file=tokens) as collector:
        answers = [
            post(collector.http_port, b"", Authorization=f"Bearer {n}") for n in range(BURST + 1)
        ]
        assert [status for status, _, _ in answers] == [401] * BURST + [429]
        _, headers, body = answers[-1]
        assert headers["retry-after"] == "1"
        assert Status.FromString(body).details[0].Is(RetryInfo.DESCRIPTOR)
        json = {"Authorization": "Bearer other", "Content_Type": "application/json"}
        status, headers, body = post(collector.http_port, b"", **json)
        assert (status, headers["content-type"]) == (429, "application/json")
        assert orjson.loads(body)["details"][0]["retryDelay"] == "1s"
        with grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel:
            call = channel.unary_unary(TRACES)
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", metadata=(("authorization", "Bearer x"),), timeout=10)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
        assert Status.FromString(details).details[0].Is(RetryInfo.DESCRIPTOR)


def test_no_secret_is_written_anywhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    right, wrong = "canary-right-7f3a", "canary-wrong-91bc"
    tokens = write_tokens(tmp_path / "tokens", entry("gw", right))
    said: list[bytes] = []
    with (
        caplog.at_level(logging.DEBUG),
        structlog.testing.capture_logs() as events,
        open_collector(tmp_path / "data", tokens_file=tokens) as collector,
    ):
        port = collector.http_port
        for number, header in enumerate(
            (f"Bearer {right}", f"Bearer {wrong}", basic("gw", right), basic(right, wrong),
             f"Digest {wrong}", f"Bearer {wrong}\x01")
        ):  # fmt: skip
            _, headers, body = post(port, traces(1 + number, 1), Authorization=header)
            said += [body, repr(headers).encode()]
        said.append(post(port, b"", f"/v1/traces?token={right}")[2])
        said.append(post(port, b"", f"/{right}", Authorization=f"Bearer {right}")[2])
        said.append(knock(port, f"POST / HTTP/1.1\r\nAuthorization: {right}\r\nX\r\n\r\n".encode()))
        for _ in range(BURST + 2):
            said.append(post(port, b"", Authorization=f"Bearer {wrong}")[2])
        eventually(lambda: collector.batcher.lag == 0)
        said.append(collector._metrics())
    out, err = capfd.readouterr()
    written = [repr(events), caplog.text, out, err, *(part.decode("latin-1") for part in said)]
    written += [repr(query(tmp_path / "data", f"SELECT * FROM {t}")) for t in ("spans", "rejects")]
    stored = [f for f in (tmp_path / "data").rglob("*") if f.is_file()]
    written += [f.read_bytes().decode("latin-1") for f in stored]
    forms = [f(s) for s in (right, wrong) for f in (str, _base64)]
    assert [form for form in forms if any(form in text for text in written)] == []
    assert any("gw" in text for text in written) or stored, "something was looked at"


def _base64(secret: str) -> str:
    return base64.b64encode(f"gw:{secret}".encode()).decode()
