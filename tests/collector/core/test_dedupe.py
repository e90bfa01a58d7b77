from __future__ import annotations

from collector.dedupe import GENERATION_S, Dedupe, digest_of

WINDOW = 600


def stored(dedupe: Dedupe[str], digest: bytes, now: float) -> bool:
    """Whether it is remembered; leaves nothing in flight."""
    seen, _ = dedupe.begin(digest, "probe", now)
    if seen == "new":
        dedupe.settle(digest, now, stored=False)
    return seen == "stored"


def test_a_stored_request_is_known_for_the_window_and_not_much_longer() -> None:
    dedupe: Dedupe[str] = Dedupe(WINDOW, 100)
    assert dedupe.begin(b"a", "first", 1000.0) == ("new", None)
    dedupe.settle(b"a", 1000.0, stored=True)
    assert stored(dedupe, b"a", 1000.0 + WINDOW)
    assert not stored(dedupe, b"a", 1000.0 + WINDOW + GENERATION_S + 1)
    assert len(dedupe) == 0


def test_an_equal_request_in_flight_finds_its_leader() -> None:
    dedupe: Dedupe[str] = Dedupe(WINDOW, 100)
    dedupe.begin(b"a", "first", 0.0)
    assert dedupe.begin(b"a", "second", 0.0) == ("in_flight", "first")


def test_a_refused_request_may_come_again() -> None:
    dedupe: Dedupe[str] = Dedupe(WINDOW, 100)
    dedupe.begin(b"a", "first", 0.0)
    dedupe.settle(b"a", 0.0, stored=False)
    assert dedupe.begin(b"a", "second", 0.0) == ("new", None)


def test_digests_of_earlier_runs_count_by_when_they_came() -> None:
    dedupe: Dedupe[str] = Dedupe(WINDOW, 100)
    now = 10_000.0
    old, fresh = int((now - WINDOW - 1) * 1e9), int((now - 100) * 1e9)
    dedupe.remember([(b"fresh", fresh), (b"old", old)], now)
    assert stored(dedupe, b"fresh", now)
    assert not stored(dedupe, b"old", now)
    assert not stored(dedupe, b"fresh", now + WINDOW)


def test_a_clock_that_steps_back_forgets_nothing() -> None:
    dedupe: Dedupe[str] = Dedupe(WINDOW, 100)
    for digest, now in ((b"a", 5000.0), (b"b", 1000.0)):
        dedupe.begin(digest, "x", now)
        dedupe.settle(digest, now, stored=True)
    assert stored(dedupe, b"a", 1000.0)
    assert stored(dedupe, b"b", 5000.0)


def test_too_many_digests_push_out_the_oldest_and_are_counted() -> None:
    dedupe: Dedupe[str] = Dedupe(WINDOW, 10)
    for number in range(30):
        now = number * GENERATION_S / 3
        digest = b"%d" % number
        dedupe.begin(digest, "x", now)
        dedupe.settle(digest, now, stored=True)
    assert len(dedupe) <= 10
    assert dedupe.forgotten_early == 30 - len(dedupe)
    assert stored(dedupe, b"29", 290.0)


def test_the_digest_covers_key_sender_format_and_body() -> None:
    digests = {
        digest_of(key * 32, who, format_, body)
        for key in (b"1", b"2")
        for who in ("a", "b")
        for format_ in ("otlp_traces", "otlp_logs")
        for body in (b"", b"x")
    }
    assert len(digests) == 16
    assert all(len(d) == 16 for d in digests)
