"""Small requests that want much memory, against a real process with the settings of a default
installation: the status, what it cost in memory and in processor time."""

from __future__ import annotations

import os
import random
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import grpc
import pytest
from backports import zstd
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from zlib_ng import zlib_ng

from tests.collector.core.accounting import read_books
from tests.collector.core.doors import eventually
from tests.collector.core.process import CollectorProcess, free_port, post, traces
from tests.collector.core.test_crashes import _check_books
from tests.collector.core.test_grpc import TRACES
from tests.collector.otlp.messages import sized

MB = 1 << 20
GB = 1 << 30


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    started = CollectorProcess(tmp_path_factory.mktemp("attacked"), grpc_port=free_port())
    started.start()
    # What a process allocates once, for its first ordinary request, belongs to no attack.
    assert post(started.port, traces(1, 1000))[0] == 200
    eventually(lambda: b"records_stored_total" in started.get("/metrics")[1])
    yield started
    eventually(lambda: b"inflight_bytes 0.0" in started.get("/metrics")[1], 30)
    _check_books(started)
    started.kill()


class Cost:
    """Of what happens inside the block, to a process."""

    def __init__(self, collector: CollectorProcess) -> None:
        assert collector.process is not None and collector.process.pid is not None
        self._folder = Path("/proc") / str(collector.process.pid)
        self.peak_bytes = 0
        """Above what it had before."""
        self.peak_rss = 0
        self.cpu_s = 0.0

    def __enter__(self) -> Cost:
        (self._folder / "clear_refs").write_text("5")  # the peak starts anew
        self._before = self._status("VmRSS"), self._cpu()
        return self

    def __exit__(self, *_: object) -> None:
        self.peak_rss = self._status("VmHWM")
        self.peak_bytes = self.peak_rss - self._before[0]
        self.cpu_s = self._cpu() - self._before[1]

    def _status(self, name: str) -> int:
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise AssertionError(name)

    def _cpu(self) -> float:
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@cache
def _gzip_bomb(size: int) -> bytes:
    codec = zlib_ng.compressobj(6, wbits=31)
    block = bytes(MB)
    return b"".join(codec.compress(block) for _ in range(size // MB)) + codec.flush()


def _zstd_bomb(size: int, *, declared: bool) -> bytes:
    codec = zstd.ZstdCompressor(level=1)
    if declared:
        codec.set_pledged_input_size(size)
    block = bytes(MB)
    parts = [codec.compress(block) for _ in range(size // MB)]
    return b"".join((*parts, codec.flush(zstd.ZstdCompressor.FLUSH_FRAME)))


BOMBS = {
    "gzip": lambda: (_gzip_bomb(GB), "gzip"),
    "gzip in members": lambda: (_gzip_bomb(16 * MB) * 60, "gzip"),
    "zstd": lambda: (_zstd_bomb(GB, declared=False), "zstd"),
    "zstd that says its size": lambda: (_zstd_bomb(GB, declared=True), "zstd"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_for_little_memory_and_time(
    collector: CollectorProcess, name: str
) -> None:
    body, encoding = BOMBS[name]()
    assert len(body) < 2 * MB
    with Cost(collector) as cost:
        status, headers, _ = post(collector.port, body, Content_Encoding=encoding)
    assert (status, "retry-after" in headers) == (413, False)
    assert cost.peak_bytes < (64 + 16 + 16) * MB, "the limit of a body, its parts, some room"
    assert cost.cpu_s < 3, "a second on a quiet machine is much already"


def test_bombs_side_by_side_share_one_budget(collector: CollectorProcess) -> None:
    body = _gzip_bomb(GB)
    with Cost(collector) as cost, ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda _: post(collector.port, body, Content_Encoding="gzip")[0], range(12))
        )
    assert set(answers) <= {413, 503}
    assert cost.peak_bytes < (128 + 64 + 64) * MB, "what is in flight, a body joined, some room"


SMALL = {
    # 2 bytes on the wire each; what they are inside of.
    "empty resources": lambda: b"\x0a\0" * (5 * MB),
    "empty spans": lambda: sized(1, sized(2, b"\x12\0" * (2 * MB))),
    "empty attributes": lambda: sized(1, sized(2, sized(2, b"\x4a\0" * (5 * MB)))),
    "empty events": lambda: sized(1, sized(2, sized(2, b"\x5a\0" * (2 * MB)))),
    "empty values": lambda: sized(
        1, sized(2, sized(2, sized(9, sized(2, sized(5, b"\x0a\0" * (2 * MB))))))
    ),
    "2,000 attributes": lambda: sized(1, sized(2, sized(2, b"\x4a\0" * 2000) * 500)),
    "one attribute too many": lambda: sized(1, sized(2, sized(2, b"\x4a\0" * 2001) * 500)),
}


@pytest.mark.parametrize("name", SMALL)
def test_countless_empty_messages_cost_a_bounded_amount_of_memory(
    collector: CollectorProcess, name: str
) -> None:
    """Decoding and storing what is taken included. The same bytes as protobuf objects take up to
    eighty times their size."""
    body = SMALL[name]()
    with Cost(collector) as cost:
        status, headers, _ = post(collector.port, body)
        eventually(lambda: read_books(collector.get("/metrics")[1].decode()).settled, 60)
    assert status in (200, 400, 413), status
    assert "retry-after" not in headers
    assert cost.peak_bytes < 400 * MB, cost.peak_bytes / MB
    assert cost.cpu_s < 6


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_flood_of_such_bodies_costs_a_bounded_amount_of_memory(
    collector: CollectorProcess,
) -> None:
    """As many different ones at a time as the budget of bytes in flight lets in."""
    hostile = [SMALL["empty events"](), SMALL["empty values"](), SMALL["2,000 attributes"]()]
    with Cost(collector) as cost, ThreadPoolExecutor(12) as pool:
        # Empty resources at the end: no two are equal, or they would count as one.
        bodies = (hostile[n % 3] + b"\x0a\0" * n for n in range(60))
        statuses = set(pool.map(lambda body: post(collector.port, body)[0], bodies))
        eventually(lambda: read_books(collector.get("/metrics")[1].decode()).settled, 120)
    assert statuses <= {200, 503}
    assert cost.peak_bytes < 1200 * MB, cost.peak_bytes / MB
    sys.stdout.write(f"peak {cost.peak_bytes / MB:.0f} MB, {cost.cpu_s:.1f} s of a processor\n")


def test_a_bomb_over_grpc_is_refused_without_an_invitation(collector: CollectorProcess) -> None:
    options = [("grpc.max_send_message_length", -1), ("grpc.default_compression_algorithm", 2)]
    address = f"127.0.0.1:{collector.settings.grpc_port}"
    with grpc.insecure_channel(address, options=options) as channel:
        call = channel.unary_unary(TRACES)
        with Cost(collector) as cost, pytest.raises(grpc.RpcError) as caught:
            call(bytes(100 * MB), timeout=60, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = dict(caught.value.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    told = Status.FromString(details)
    assert not any(d.Is(RetryInfo.DESCRIPTOR) for d in told.details)
    assert cost.peak_bytes < 4 * 64 * MB
    assert post(collector.port, traces(50_000, 1))[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
@pytest.mark.parametrize(("size", "refused"), [(64 * MB, False), (64 * MB + 1, True)])
def test_the_limit_of_64_mib_holds_before_and_after_decompression(
    collector: CollectorProcess, encoding: str, size: int, refused: bool
) -> None:
    field = sized(15, b"")  # one unknown field, filled up so that the body has exactly the size
    body = field + b"\x7a" + _length(size - len(field) - 5)
    letters = bytes(b"abcdefghijklmnopqrstuvwxyz012345"[n % 32] for n in range(256))
    body += random.Random(1).randbytes(size - len(body)).translate(letters)
    assert len(body) == size
    packed = {"identity": lambda b: b, "gzip": _gzip, "zstd": zstd.compress}[encoding](body)
    status, headers, answer = post(collector.port, packed, Content_Encoding=encoding)
    assert (status, "retry-after" in headers) == ((413 if refused else 200), False), answer


def _length(value: int) -> bytes:
    return bytes([value & 127 | 128, value >> 7 & 127 | 128, value >> 14 & 127 | 128, value >> 21])


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, 1, wbits=31)
