"""The scanner accepts, refuses and reads what Google's decoder does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.otlp.body import REASONS
from tests.collector.otlp import reference
from tests.collector.otlp.compare import FORMATS, assert_same, payload
from tests.collector.otlp.compare_many import Difference, compare_many
from tests.collector.otlp.fuzz import CORPUS, Fuzzer, corpus, run
from tests.collector.otlp.messages import Generator, WireGenerator, sized, varint

FEW = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
any_format = pytest.mark.parametrize("format_name", sorted(FORMATS))


@any_format
def test_generated_requests_are_read_alike(format_name: str) -> None:
    compared = compare_many(format_name, [Generator(s).request(format_name) for s in range(20)])
    assert compared.refused == 0
    assert compared.records > 20


@any_format
def test_loosely_written_wire_format_is_read_or_refused_alike(format_name: str) -> None:
    compared = compare_many(
        format_name, [WireGenerator(s).request(format_name) for s in range(250)]
    )
    assert 25 < compared.read < 250, "the generator should make both kinds"


@any_format
def test_wounded_requests_are_read_or_refused_alike(format_name: str) -> None:
    fuzzer = Fuzzer(format_name, 1, [b for name, b in corpus() if name == format_name])
    told = run([fuzzer], seconds=60, bodies_max=2000)
    assert told["read alike"] > 500 < told["refused alike"]
    assert told["records compared"] > 300
    assert len([why for why in REASONS[1:-1] if told[why]]) >= 6, "all kinds of wounds"


def _small(format_name: str) -> bytes:
    """A body of 100 to 260 bytes with records in it."""
    for seed in range(10_000):
        body = Generator(seed).request(format_name, 0.2)
        if 100 < len(body) < 260 and FORMATS[format_name].validate(payload(format_name, body)):
            return body
    raise AssertionError("no seed gives a small body")


@any_format
def test_a_request_cut_at_any_byte_is_read_or_refused_alike(format_name: str) -> None:
    body = _small(format_name)
    assert compare_many(format_name, [body[:size] for size in range(len(body) + 1)]).read >= 2


@any_format
def test_a_request_with_any_bit_flipped_is_read_or_refused_alike(format_name: str) -> None:
    body = _small(format_name)
    compare_many(
        format_name,
        [
            body[:at] + bytes([body[at] ^ 1 << bit]) + body[at + 1 :]
            for at in range(len(body))
            for bit in range(8)
        ],
    )


@any_format
@pytest.mark.parametrize(
    "trailer", [b"\0", b"\x0a", b"\xff", b"\x0b", b"\x0c", b"\x0a\x00", b"\x7b\x7c"]
)
def test_trailing_bytes_are_read_or_refused_alike(format_name: str, trailer: bytes) -> None:
    assert_same(format_name, _small(format_name) + trailer)


@any_format
def test_bodies_of_the_corpus_are_read_or_refused_alike(format_name: str) -> None:
    compared = compare_many(format_name, [body for name, body in corpus() if name == format_name])
    assert compared.records > 100
    for path in CORPUS.glob(f"{format_name}.*.bin"):
        assert_same(format_name, path.read_bytes())


def test_the_comparison_of_many_finds_the_one_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [Generator(s).request("otlp_traces") for s in range(30)]
    wanted = reference.decode

    def wrong(name: str, body: bytes, *rest: Any) -> Any:
        rows = wanted(name, body, *rest)
        if body == bodies[17]:
            rows[0][0]["name"] = "something else"
        return rows

    monkeypatch.setattr(reference, "decode", wrong)
    with pytest.raises(Difference) as caught:
        compare_many("otlp_traces", bodies)
    assert caught.value.body == bodies[17]


@FEW
@given(st.sampled_from(sorted(FORMATS)), st.binary(max_size=60))
def test_arbitrary_bytes_are_read_or_refused_alike(format_name: str, body: bytes) -> None:
    assert_same(format_name, body)


@FEW
@given(st.sampled_from(sorted(FORMATS)), st.integers(0, 10**9), st.data())
def test_spliced_requests_are_read_or_refused_alike(
    format_name: str, seed: int, data: st.DataObject
) -> None:
    first = Generator(seed).request(format_name, 0.2)
    second = WireGenerator(seed).request(format_name)
    cut = data.draw(st.integers(0, len(first)))
    assert_same(format_name, first[:cut] + second + first[cut:])


def _any_value(content: bytes) -> bytes:
    """A request whose only span has one attribute with this AnyValue."""
    pair = sized(1, b"k") + sized(2, content)
    return sized(1, sized(2, sized(2, sized(9, pair))))


def _nested(levels: int, innermost: bytes = b"") -> bytes:
    content = innermost
    for _ in range(levels):
        content = sized(5, sized(1, content))
    return _any_value(content)


GROUP, END = b"\x7b", b"\x7c"
CASES = {
    "empty body": (b"", True),
    "field number zero": (b"\0\0", False),
    "field number zero inside a skipped group": (b"\x7b\0\0\x7c", True),
    "wire type six": (b"\x0e", False),
    "wire type seven": (b"\x0f", False),
    "end of a group that never began": (b"\x0c", False),
    "group that never ends": (GROUP, False),
    "group ended by another number": (b"\x7b\x74", False),
    "known number as a group": (b"\x0b\x0c", True),
    "tag of five bytes": (b"\xf8\x80\x80\x80\x00\x00", True),
    "tag of six bytes": (b"\xf8\x80\x80\x80\x80\x00\x00", False),
    "tag past 32 bits": (b"\xf8\xff\xff\xff\x1f\x00", False),
    "varint of ten bytes": (b"\x78" + b"\xff" * 9 + b"\x7f", True),
    "varint of eleven bytes": (b"\x78" + b"\xff" * 10 + b"\x01", False),
    "length of five bytes": (b"\x7a\x80\x80\x80\x80\x00", True),
    "length of six bytes": (b"\x7a\x80\x80\x80\x80\x80\x00", False),
    "length of 2^31": (b"\x7a\x80\x80\x80\x80\x08", False),
    "groups 100 deep": (GROUP * 100 + END * 100, True),
    "groups 101 deep": (GROUP * 101 + END * 101, False),
    "messages 100 deep": (_nested(47, sized(5, b"")), True),
    "messages 101 deep": (_nested(48), False),
    "messages and a group 100 deep": (_nested(47, GROUP + END), True),
    "messages and groups 101 deep": (_nested(47, GROUP * 2 + END * 2), False),
    "wrong wire type is an unknown field": (sized(1, sized(2, sized(2, b"\x28\x07"))), True),
    "surrogate in text": (_any_value(sized(1, b"\xed\xa0\x80")), False),
    "overlong text": (_any_value(sized(1, b"\xc0\x80")), False),
    "past the last code point": (_any_value(sized(1, b"\xf4\x90\x80\x80")), False),
    "text cut inside a character": (_any_value(sized(1, "ж".encode()[:1])), False),
    "text with NUL": (_any_value(sized(1, b"\0")), True),
    "bytes that are no text": (_any_value(sized(7, b"\xff")), True),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_wire_rule(case: str) -> None:
    body, accepted = CASES[case]
    assert assert_same("otlp_traces", body) is accepted


def _text_at(offset: int, text: bytes) -> bytes:
    return _any_value(sized(1, b"x" * offset + text + b"y" * 3))


@pytest.mark.parametrize("offset", range(18))
def test_text_is_checked_wherever_in_a_word_it_starts(offset: int) -> None:
    assert assert_same("otlp_traces", _text_at(offset, "é✓𝄞".encode()))
    assert not assert_same("otlp_traces", _text_at(offset, b"\x80"))
    assert not assert_same("otlp_traces", _any_value(sized(1, b"x" * offset + b"\xc3")))


def test_the_last_member_of_a_oneof_wins_and_equal_members_merge() -> None:
    one, two = sized(1, b"\x18\x01"), sized(1, b"\x18\x02")
    array_one, array_two, text = sized(5, one), sized(5, two), sized(1, b"s")
    for content in (
        array_one + array_two,
        array_one + text + array_two,
        array_one + text,
        text + array_one,
        array_one + sized(6, b"") + array_two,
        sized(5, sized(1, array_one + text) + sized(1, text + array_two)),
    ):
        assert assert_same("otlp_traces", _any_value(content))


def test_a_log_body_sent_in_two_parts_around_nested_attributes_is_merged() -> None:
    part = sized(5, sized(5, sized(1, b"\x18\x07")))
    attribute = sized(
        6, sized(1, b"k") + sized(2, sized(5, sized(1, sized(5, sized(1, b"\x18\x09")))))
    )
    record = b"\x09" + (1_795_257_417 * 10**9).to_bytes(8, "little") + part + attribute + part
    assert assert_same("otlp_logs", sized(1, sized(2, sized(2, record))))


def test_points_of_a_replaced_kind_of_data_are_gone() -> None:
    point = sized(1, b"\x19" + (1_795_257_417 * 10**9).to_bytes(8, "little"))
    gauge, total = sized(5, point), sized(7, point + b"\x10\x02\x18\x01")
    for data in (gauge + gauge, gauge + total, total + gauge, total + gauge + sized(7, point)):
        assert assert_same("otlp_metrics", sized(1, sized(2, sized(2, sized(1, b"m") + data))))


def test_packed_and_unpacked_lists_are_the_same() -> None:
    bounds = b"".join(varint(7 << 3 | 1) + bytes(7) + bytes([i]) for i in range(3))
    packed = sized(7, b"".join(bytes(7) + bytes([i]) for i in range(3)))
    for point in (bounds, packed, bounds + packed + bounds, sized(7, b"1234567")):
        histogram = sized(9, sized(1, point))
        body = sized(1, sized(2, sized(2, histogram)))
        assert assert_same("otlp_metrics", body) is (b"1234567" not in point)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_half_a_million_bodies_are_read_or_refused_alike() -> None:
    fuzzers = [
        Fuzzer(format_name, 7, [b for name, b in corpus() if name == format_name])
        for format_name in FORMATS
    ]
    told = run(fuzzers, seconds=1000, bodies_max=500_000)
    assert told["bodies"] >= 500_000
