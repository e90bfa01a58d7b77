"""UDP and TCP listeners: every message becomes a row, or is counted as lost with its reason."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from collector.auth import Principal
from collector.errors import CollectorStartError, MalformedBody, WalFull
from collector.formats import FORMATS
from collector.receivers import inlet as inlet_module
from collector.receivers.framing import Deframer, FrameTooLong
from collector.receivers.inlet import Inlet
from collector.receivers.limits import MESSAGE_BYTES_MAX
from collector.receivers.listener_spec import parse_listener
from collector.receivers.syslog import frame, parse_syslog, split_frames
from tests.aio import run
from tests.collector.core.doors import eventually, metric, open_collector, query

MESSAGES = [b"<13>1 2026-01-02T03:04:05Z h app - - - one", b"<13>Jan  2 03:04:05 h app: two"]
COUNTED = [b"<13>1 2026-01-02T03:04:05Z h app - - - with\nnewline", b"<13>1 - - - - - - x"]


def stream() -> tuple[bytes, list[bytes]]:
    """Lines and counted messages mixed, as one connection may send them."""
    data = MESSAGES[0] + b"\n" + frame(COUNTED[0]) + MESSAGES[1] + b"\r\n\n" + frame(COUNTED[1])
    return data, [MESSAGES[0], COUNTED[0], MESSAGES[1] + b"\r", COUNTED[1]]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_a_stream_gives_the_same_messages_however_it_is_cut(size: int) -> None:
    data, expected = stream()
    deframer = Deframer(octets=True)
    found = [m for at in range(0, len(data), size) for m in deframer.feed(data[at : at + size])]
    assert found == expected
    assert deframer.finish() == b""


def test_the_last_line_needs_no_newline_and_half_a_counted_message_is_none() -> None:
    deframer = Deframer(octets=True)
    assert list(deframer.feed(b"one\ntwo")) == [b"one"]
    assert deframer.finish() == b"two"
    assert list(deframer.feed(b"10 short")) == []
    assert deframer.finish() == b""


@pytest.mark.parametrize(
    "data", [b"99999999 x", b"12345678", b"1x3 abc", b"y" * (MESSAGE_BYTES_MAX + 1)]
)
def test_a_stream_that_cannot_be_followed_is_given_up(data: bytes) -> None:
    with pytest.raises(FrameTooLong):
        list(Deframer(octets=True).feed(data))


def test_a_long_line_is_taken_up_to_the_limit_exactly() -> None:
    line = b"y" * MESSAGE_BYTES_MAX
    assert list(Deframer(octets=False).feed(line + b"\n")) == [line]
    with pytest.raises(FrameTooLong):
        list(Deframer(octets=False).feed(line + b"y\n"))


def test_frames_of_a_body_are_read_back() -> None:
    data, expected = stream()
    assert [m.rstrip(b"\r") for m in split_frames(data)] == [m.rstrip(b"\r") for m in expected]
    with pytest.raises(MalformedBody):
        list(split_frames(b"100 short"))
    with pytest.raises(MalformedBody):
        list(split_frames(b"10short"))


@pytest.mark.parametrize(
    "line",
    [b"", b"<", b"<999>x", b"<13>", b"<13>1", b"<13>1 - - - - -", b"\xff\xfe",
     b"<13>Feb 30 25:00:00 x",
     b"<13>1 2026-99-99T99:99:99Z a b c d [x", b"<13>1 - - - - - [" + b"a" * 60_000,
     b'<13>1 - - - - - [a b="' + b'\\"' * 30_000, b"<13>" + b"[" * 60_000],
)  # fmt: skip
def test_whatever_comes_is_a_message(line: bytes) -> None:
    message = parse_syslog(line, 1_700_000_000_000_000_000)
    assert 0 <= message.severity <= 7
    assert message.time_ns >= 0


@pytest.mark.parametrize(("host", "told"), [(b"web1 ", "web1"), (b"", "")])
def test_nginx_with_and_without_its_host_name(host: bytes, told: str) -> None:
    line = b'192.0.2.1 - - [20/Nov/2025:12:14:14 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8"'
    message = parse_syslog(
        b"<190>Nov 20 12:14:14 " + host + b"nginx: " + line, 1_763_640_854 * 10**9
    )
    assert (message.host, message.app, message.message) == (told, "nginx", line.decode())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("http://h:1", "must begin"), ("syslog+sctp://h:1", "must begin"),
        ("syslog+udp://h", "port"),
        ("syslog+udp://h:99999", "port"), ("json+tcp://h:1?format=nope", "no format 'nope'"),
        ("json+tcp://h:1?color=red", "unknown option color"),
    ],
)  # fmt: skip
def test_a_wrong_listener_is_told_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_listener(text, FORMATS)


def test_a_port_in_use_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        spec = f"syslog+udp://127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(CollectorStartError, match="change listeners"),
            open_collector(tmp_path, listeners=(spec,)),
        ):
            pass


LISTENERS = (
    "syslog+udp://127.0.0.1:0", "syslog+tcp://127.0.0.1:0?tenant=shop",
    "syslog+udp://127.0.0.1:0?format=haproxy", "json+tcp://127.0.0.1:0",
    "json+udp://127.0.0.1:0?format=kong&environment=test",
)  # fmt: skip
HAPROXY = (
    b"<134>Nov 20 12:14:14 haproxy[14389]: 10.0.1.2:33317 [20/Nov/2025:12:14:14.655] http-in "
    b'static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {a} {} "GET /ha HTTP/1.1"'
)
KONG = (
    b'{"latencies":{"request":12,"proxy":9,"kong":3},"request":{"method":"GET","uri":"/ko",\n'
    b'"url":"http://h/ko","size":10,"headers":{}},"response":{"status":200,"size":20,'
    b'"headers":{}},"started_at":1700000000000,"client_ip":"192.0.2.1"}'
)


def test_messages_of_all_listeners_become_rows(tmp_path: Path) -> None:
    with open_collector(tmp_path, listeners=LISTENERS) as collector:
        ports = collector.background.ports
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for number in range(200):
                udp.sendto(b"<13>Jan  2 03:04:05 h app: udp %d" % number, ("127.0.0.1", ports[0]))
            udp.sendto(HAPROXY, ("127.0.0.1", ports[2]))
            udp.sendto(KONG, ("127.0.0.1", ports[4]))
        data, _ = stream()
        for port, sent in ((ports[1], data), (ports[3], b'{"message":"tcp json"}\n{bad\n')):
            with socket.create_connection(("127.0.0.1", port)) as tcp:
                tcp.sendall(sent)
        eventually(lambda: len(query(tmp_path, "SELECT * FROM requests")) == 2)
        eventually(lambda: len(query(tmp_path, "SELECT * FROM logs")) == 201)
        eventually(lambda: len(query(tmp_path, "SELECT * FROM rejects")) == 1)
    bodies = {row["body"] for row in query(tmp_path, "SELECT body FROM logs")}
    assert bodies == {"tcp json", *(f"udp {n}" for n in range(200))}
    rows = query(tmp_path, "SELECT gateway, path, environment FROM requests ORDER BY gateway")
    assert [(r["gateway"], r["path"], r["environment"]) for r in rows] == [
        ("haproxy", "/ha", None), ("kong", "/ko", "test"),
    ]  # fmt: skip


def test_what_came_just_before_the_stop_is_in_the_lake(tmp_path: Path) -> None:
    with (
        open_collector(tmp_path, listeners=("json+tcp://127.0.0.1:0",)) as collector,
        socket.create_connection(("127.0.0.1", collector.background.ports[0])) as tcp,
    ):
        tcp.sendall(b'{"message":"just in time"}\n')
        inlets = collector.background._listeners._inlets
        eventually(lambda: (inlets and inlets[0]._queue) or _stored(collector))
    assert len(query(tmp_path, "SELECT * FROM logs")) == 1


def _stored(collector: object) -> bool:
    return metric(collector, "records_accepted_total", format="json_lines") > 0  # type: ignore[arg-type]


class FullLog:
    """An intake whose log has no room until it is told so."""

    def __init__(self) -> None:
        self.full = True
        self.bodies: list[bytes] = []

    def reserve(self, size: int) -> FullLog:
        if self.full:
            raise WalFull(1)
        return self

    def release(self) -> None:
        pass

    def submit(self, incoming: object, reservation: object, ticket: object) -> None:
        self.bodies.append(incoming.body)  # type: ignore[attr-defined]
        ticket.future.set_result(None)  # type: ignore[attr-defined]


def test_a_full_log_makes_udp_drop_by_count_and_loses_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inlet_module, "LISTENER_BYTES_MAX", 100)
    monkeypatch.setattr(inlet_module, "_RETRY_S", (0.001,))
    dropped: dict[str, int] = {}

    async def scenario() -> list[bytes]:
        log = FullLog()
        inlet = Inlet(
            log, FORMATS["json_lines"], Principal(), join=b"\n".join, content="text",  # type: ignore[arg-type]
            transport="udp",
            dropped=lambda reason, n: dropped.__setitem__(reason, dropped.get(reason, 0) + n),
        )  # fmt: skip
        pump = asyncio.create_task(inlet.run())
        taken = [inlet.offer(b"%09d." % n, "a") for n in range(15)]
        assert taken == [True] * 10 + [False] * 5
        waiting = asyncio.create_task(inlet.put(b"tcp waits.", "b"))
        await asyncio.sleep(0.02)
        assert not waiting.done(), "TCP is not read while there is no room"
        log.full = False
        await waiting
        inlet.close()
        await pump
        return log.bodies

    bodies = run(scenario())
    assert dropped == {"buffer_full": 5}
    assert b"\n".join(bodies).split(b"\n") == [b"%09d." % n for n in range(10)] + [b"tcp waits."]
