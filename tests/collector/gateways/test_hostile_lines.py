"""Whatever bytes come: no line is lost, no format raises, nothing secret gets through."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.gateways import GATEWAY_FORMATS
from collector.gateways.bodies import count_lines
from collector.gateways.detect import detect
from collector.gateways.limits import LINE_BYTES_MAX, TEXT_CHARS_MAX
from collector.gateways.lines import LinesFormat
from collector.gateways.rows import REJECTS_SCHEMA, REQUESTS_SCHEMA
from collector.payload import Content, Decoded, Payload

CASES = Path(__file__).parent / "cases"
FORMATS = list(GATEWAY_FORMATS.values())
GOOD = b'1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8"'


def payload(body: bytes, *, content: Content = "text", tenant: str = "default") -> Payload:
    return Payload(body, "x", content, tenant, None, 1_795_000_000_000_000_000, "peer")


def decode(format_: LinesFormat, *bodies: bytes) -> Decoded:
    decoded = format_.decode([payload(body) for body in bodies])
    for name, schema in (("requests", REQUESTS_SCHEMA), ("rejects", REJECTS_SCHEMA)):
        if name in decoded.tables:
            decoded.tables[name].validate(full=True)
            assert decoded.tables[name].schema == schema
    return decoded


def samples() -> list[tuple[str, bytes]]:
    return [(p.parent.parent.name, p.read_bytes()) for p in sorted(CASES.glob("*/*/input.*"))]


@pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f.name)
def test_random_bytes_become_rejects_line_by_line(format_: LinesFormat) -> None:
    rng = random.Random(format_.name)
    body = b"\n".join(rng.randbytes(rng.randint(1, 90)).replace(b"\n", b"") for _ in range(300))
    decoded = decode(format_, body)
    assert decoded.accepted == 0
    assert decoded.rejected == count_lines(body)


@pytest.mark.parametrize(("name", "body"), samples())
def test_a_body_cut_anywhere_is_read_as_far_as_it_goes(name: str, body: bytes) -> None:
    rng = random.Random(name)
    format_ = GATEWAY_FORMATS[name]
    for cut in {rng.randrange(len(body)) for _ in range(10)}:
        decode(format_, body[:cut])


@pytest.mark.parametrize(("name", "body"), samples())
def test_a_body_with_flipped_bytes_never_raises(name: str, body: bytes) -> None:
    rng = random.Random(name)
    for _ in range(10):
        spoilt = bytearray(body)
        for _ in range(rng.randint(1, 8)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        decode(GATEWAY_FORMATS[name], bytes(spoilt))


@pytest.mark.parametrize(("name", "body"), samples())
def test_values_of_other_types_never_raise(name: str, body: bytes) -> None:
    """JSON records whose values were swapped for something of another type."""
    strange = [
        None,
        True,
        -1,
        1e308,
        2**70,
        "",
        "x" * 5000,
        [],
        {},
        [[1]],
        {"a": {"b": 1}},
        "\ud83d",
    ]
    rng = random.Random(name)
    try:
        value = json.loads(body.splitlines()[0])
    except ValueError:
        return
    for _ in range(15):
        decode(GATEWAY_FORMATS[name], json.dumps(swapped(value, rng, strange)).encode())


def swapped(value: object, rng: random.Random, strange: list[object]) -> object:
    if rng.random() < 0.15:
        return rng.choice(strange)
    if isinstance(value, dict):
        return {key: swapped(item, rng, strange) for key, item in value.items()}
    if isinstance(value, list):
        return [swapped(item, rng, strange) for item in value]
    return value


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_every_line_is_counted_once(pieces: list[bytes]) -> None:
    body = b"\n".join(pieces)
    nginx = GATEWAY_FORMATS["nginx"]
    decoded = decode(nginx, body)
    lines = [line for line in body.split(b"\n") if line.removesuffix(b"\r")]
    assert decoded.accepted + decoded.rejected == len(lines)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\n\n"])
def test_line_ends_of_any_kind_end_lines(newline: bytes) -> None:
    decoded = decode(GATEWAY_FORMATS["nginx"], newline.join([GOOD] * 5) + newline)
    assert (decoded.accepted, decoded.rejected) == (5, 0)


def test_bytes_that_are_not_text_do_not_cost_a_request() -> None:
    body = GOOD.replace(b"curl/8", b"caf\xe9 \x00") + b"\n" + b"\0" * 50
    decoded = decode(GATEWAY_FORMATS["nginx"], body)
    [agent] = decoded.tables["requests"].column("user_agent").to_pylist()
    assert agent == "caf\\xe9 \\x00"
    [record] = decoded.tables["rejects"].column("record").to_pylist()
    assert record == "\\x00" * 50


def test_endless_lines_and_fields_are_cut() -> None:
    long_line = b"x" * (LINE_BYTES_MAX + 1)
    long_path = GOOD.replace(b"/a", b"/" + b"a" * 10_000)
    decoded = decode(GATEWAY_FORMATS["nginx"], long_line + b"\n" + long_path)
    [reject] = decoded.tables["rejects"].to_pylist()
    assert reject["reason"] == "line_too_long"
    assert len(reject["record"]) <= 4096
    [path] = decoded.tables["requests"].column("path").to_pylist()
    assert len(path) == TEXT_CHARS_MAX


def test_bodies_of_several_senders_are_read_together_and_told_apart() -> None:
    nginx = GATEWAY_FORMATS["nginx"]
    decoded = nginx.decode(
        [
            payload(GOOD + b"\nbad one\n"),
            payload(GOOD, tenant="other"),
            payload(b""),
            payload(b"\n\nbad two\n" + GOOD),
        ]
    )
    assert sorted(decoded.tables["requests"].column("tenant").to_pylist()) == [
        "default", "default", "other",
    ]  # fmt: skip
    rejects = decoded.tables["rejects"].to_pylist()
    assert [(r["position"], r["record"]) for r in rejects] == [(2, "bad one"), (3, "bad two")]


SECRETS = ("s3cret", "6129dc1e8b64c6b4", "key123")


@pytest.mark.parametrize(("name", "body"), samples())
def test_no_secret_of_the_samples_reaches_a_row(name: str, body: bytes) -> None:
    decoded = decode(GATEWAY_FORMATS[name], body)
    text = repr([table.to_pylist() for table in decoded.tables.values()])
    assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize(("name", "body"), samples())
def test_no_secret_reaches_the_rejects(name: str, body: bytes) -> None:
    """The same records as one other format sees them, and with their ends cut off."""
    other = GATEWAY_FORMATS["haproxy" if name != "haproxy" else "kong"]
    cut = b"\n".join(line[:-3] for line in body.splitlines())
    for decoded in (decode(other, body), decode(GATEWAY_FORMATS[name], cut)):
        text = repr([table.to_pylist() for table in decoded.tables.values()])
        assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize(("name", "body"), samples())
def test_the_format_of_every_sample_is_detected(name: str, body: bytes) -> None:
    folder_options = {"1.2.3.4 api.example.com", "203.0.113.4 api.example.com"}
    if any(body.startswith(start.encode()) for start in folder_options):
        return  # lines of an operator's own log_format
    found = detect(body, GATEWAY_FORMATS)
    alike = {
        "istio": {"istio", "envoy"},
        "envoy": {"istio", "envoy"},
        "apache": {"apache", "nginx"},
    }
    assert found in alike.get(name, {name})


def test_rubbish_has_no_format() -> None:
    assert detect(b"hello\nworld\n", GATEWAY_FORMATS) is None


def test_records_are_counted_before_they_are_decoded() -> None:
    kong, nginx = GATEWAY_FORMATS["kong"], GATEWAY_FORMATS["nginx"]
    assert kong.validate(payload(b'[{"a":1},{"a":2},{"a":3}]', content="json")) == 3
    assert kong.validate(payload(b'{"a":1}\n{"a":2}')) == 2
    assert kong.validate(payload(b"[broken")) == 1
    assert nginx.validate(payload(b"\n" + GOOD + b"\r\n\r\n" + GOOD)) == 2
    assert nginx.validate(payload(b"")) == 0


def test_only_formats_with_ids_or_exact_times_take_equal_bodies_as_one() -> None:
    same = {name for name, format_ in GATEWAY_FORMATS.items() if format_.dedupe}
    assert same == {"kong", "apisix", "aws_apigw", "azure_apim", "apigee", "apipark"}


def test_a_pretty_printed_document_is_read_like_a_line() -> None:
    [body] = (CASES / "kong" / "http_log_array").glob("input.*")
    records = json.loads(body.read_text())
    pretty = json.dumps(records, indent=2).encode()
    assert decode(GATEWAY_FORMATS["kong"], pretty).accepted == len(records)


def test_every_format_says_how_to_set_its_gateway_up() -> None:
    for format_ in FORMATS:
        assert format_.description.endswith(".")
        assert format_.snippet.endswith("\n")
        assert "gatelens import" in format_.snippet or "/ingest/" in format_.snippet
