from __future__ import annotations

import contextlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import BodyTooLarge, MalformedBody
from collector.receivers.otlp_wire import varint
from collector.receivers.snappy import unpack_snappy

CODEC = pa.Codec("snappy")
SAMPLE = b"the quick brown fox " * 50 + bytes(range(256))


def pack(data: bytes) -> bytes:
    return bytes(CODEC.compress(data, asbytes=True))


@given(st.binary(max_size=5000))
def test_what_was_packed_comes_out(data: bytes) -> None:
    assert unpack_snappy(pack(data), 10_000) == data


def test_a_block_cut_anywhere_is_malformed() -> None:
    packed = pack(SAMPLE)
    for end in range(len(packed)):
        with pytest.raises(MalformedBody):
            unpack_snappy(packed[:end], 10_000)


def test_bytes_behind_the_block_are_malformed() -> None:
    with pytest.raises(MalformedBody):
        unpack_snappy(pack(SAMPLE) + b"\0", 10_000)


@pytest.mark.parametrize("off", [-700, -1, 1, 700])
def test_a_wrong_declared_length_is_malformed(off: int) -> None:
    packed = pack(SAMPLE)
    start = len(varint(len(SAMPLE)))
    with pytest.raises(MalformedBody):
        unpack_snappy(varint(len(SAMPLE) + off) + packed[start:], 10_000)


def test_the_limit_is_held_exactly_and_before_unpacking() -> None:
    packed = pack(SAMPLE)
    assert unpack_snappy(packed, len(SAMPLE)) == SAMPLE
    with pytest.raises(BodyTooLarge):
        unpack_snappy(packed, len(SAMPLE) - 1)


@pytest.mark.parametrize("declared", [2**31, 2**32 - 1])
def test_a_bomb_is_refused_by_what_it_declares(declared: int) -> None:
    with pytest.raises(MalformedBody):
        unpack_snappy(varint(declared) + b"\xfe" * 1000, 2**40)
    with pytest.raises(BodyTooLarge):
        unpack_snappy(varint(declared) + b"\xfe" * 1000, 2**20)


@pytest.mark.parametrize("body", [b"", b"\x80", b"\xff" * 5, b"\xff" * 20, varint(2**32)])
def test_a_length_that_is_none_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        unpack_snappy(body, 2**40)


@given(st.binary(max_size=200))
def test_garbage_is_an_error_or_within_the_limit(body: bytes) -> None:
    with contextlib.suppress(MalformedBody, BodyTooLarge):
        assert len(unpack_snappy(body, 1000)) <= 1000
