"""Content encodings: round trips, limits to the byte, bombs."""

from __future__ import annotations

import gzip
import os
import random
import resource
import zlib

import pytest
from backports import zstd

from collector.decompress import RATIO_FREE_BYTES, decompress, parse_encoding
from collector.errors import BodyTooLarge, MalformedBody, MemoryFull, UnsupportedEncoding
from collector.limits import DECOMPRESS_STEP_BYTES

TEXT = os.urandom(1000) * 5


def bare_deflate(data: bytes) -> bytes:
    codec = zlib.compressobj(wbits=-15)
    return codec.compress(data) + codec.flush()


COMPRESS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "bare deflate": bare_deflate,
    "zstd": zstd.compress,
}
ALL = pytest.mark.parametrize("codec", list(COMPRESS))


def name_of(codec: str) -> str:
    return codec.removeprefix("bare ")


@ALL
def test_what_was_compressed_comes_back(codec: str) -> None:
    body = COMPRESS[codec](TEXT)
    assert decompress(body, name_of(codec), bytes_max=10_000) == TEXT
    assert decompress(COMPRESS[codec](b""), name_of(codec), bytes_max=10) == b""


@ALL
def test_a_large_body_comes_back_and_grows_in_steps(codec: str) -> None:
    plain = random.Random(1).randbytes(DECOMPRESS_STEP_BYTES // 4) * 9 + b"end"
    told: list[int] = []
    packed = COMPRESS[codec](plain)
    assert decompress(packed, name_of(codec), bytes_max=len(plain), grow=told.append) == plain
    assert told == [2 * DECOMPRESS_STEP_BYTES, len(plain) + 1]

    def refuse(size: int) -> None:
        raise MemoryFull(size)

    with pytest.raises(MemoryFull):
        decompress(packed, name_of(codec), bytes_max=len(plain), grow=refuse)


@ALL
def test_the_limit_holds_to_the_byte(codec: str) -> None:
    body = COMPRESS[codec](bytes(5000))
    assert len(decompress(body, name_of(codec), bytes_max=5000)) == 5000
    with pytest.raises(BodyTooLarge):
        decompress(body, name_of(codec), bytes_max=4999)


@ALL
def test_a_stream_cut_anywhere_is_refused(codec: str) -> None:
    body = COMPRESS[codec](TEXT[:1200])
    for size in range(1, len(body)):
        with pytest.raises(MalformedBody):
            decompress(body[:size], name_of(codec), bytes_max=10_000)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_streams_one_after_the_other_are_one_body(codec: str) -> None:
    body = COMPRESS[codec](b"one") + COMPRESS[codec](b"two")
    assert decompress(body, codec, bytes_max=6) == b"onetwo"
    with pytest.raises(BodyTooLarge):
        decompress(body, codec, bytes_max=5)
    with pytest.raises(MalformedBody):
        decompress(body + b"garbage", codec, bytes_max=100)


def test_endless_empty_members_are_refused() -> None:
    with pytest.raises(MalformedBody, match="members"):
        decompress(gzip.compress(b"") * 1000, "gzip", bytes_max=100)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_bomb_is_stopped_at_the_limit_and_costs_no_more_memory(codec: str) -> None:
    size = 256 << 20
    if codec == "gzip":
        maker = zlib.compressobj(9, wbits=31)
        body = b"".join(maker.compress(bytes(1 << 20)) for _ in range(size >> 20)) + maker.flush()
    else:
        body = zstd.compress(bytes(size))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BodyTooLarge):
        decompress(body, codec, bytes_max=4 << 20)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < (4 + 16) << 10


def test_the_ratio_limit_spares_small_bodies() -> None:
    small, large = (
        gzip.compress(bytes(RATIO_FREE_BYTES)),
        gzip.compress(bytes(4 * RATIO_FREE_BYTES)),
    )
    assert decompress(small, "gzip", bytes_max=1 << 30, ratio_max=10)
    with pytest.raises(BodyTooLarge):
        decompress(large, "gzip", bytes_max=1 << 30, ratio_max=10)


def test_a_zstd_window_beyond_the_limit_is_refused() -> None:
    option = zstd.CompressionParameter.window_log
    body = zstd.ZstdCompressor(options={option: 30}).compress(b"x", zstd.ZstdCompressor.FLUSH_FRAME)
    body = body[:4] + bytes([body[4] & ~0x20, 0xA0]) + body[5:]
    with pytest.raises(MalformedBody):
        decompress(body, "zstd", bytes_max=1 << 20)


@pytest.mark.parametrize(
    "value", ["gzip, gzip", "gzip,identity", "br", "snappy", "gzip;q=1", "x" * 9000]
)
def test_anything_but_one_known_encoding_is_refused(value: str) -> None:
    with pytest.raises(UnsupportedEncoding):
        parse_encoding(value)


@pytest.mark.parametrize(
    ("value", "name"),
    [("", "identity"), ("identity", "identity"), (" GZIP ", "gzip"), ("x-gzip", "gzip")],
)
def test_names_of_encodings(value: str, name: str) -> None:
    assert parse_encoding(value) == name
