from __future__ import annotations

import random
import time

import pytest
import sqlalchemy as sa

from alerting.channel import ChannelConfig
from alerting.channels import deliver_to
from alerting.errors import DeliveryFailed
from alerting.limits import BACKOFF_MAX_S, DELIVERY_ATTEMPTS_MAX
from alerting.notify_webhook import send_webhook, sign
from alerting.outbox import Outbox, backoff_s
from alerting.store import AlertStore
from tests.alerting.world import make_world, outbox_rows, running_sink

RULES = """
rules:
  - {name: errors, measure: error_rate, group_by: [api], condition: "> 5%"}
"""


@pytest.fixture
def sink():
    with running_sink() as sink:
        yield sink


def fire(world, api="orders", value=0.2):
    world.source.set("error_rate", value, api=api)
    world.step()


def make(tmp_path, *channels, senders=None):
    world = make_world(tmp_path, RULES, deliver_to(*channels))
    options = {"senders": senders} if senders else {}
    outbox = Outbox(
        world.state, world.engine.delivery.channels, rng=random.Random(7),
        clock=lambda: world.now, **options,
    )  # fmt: skip
    return world, outbox


def test_notification_arrives_signed_in_alertmanager_format(tmp_path, sink, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    world, outbox = make(tmp_path, sink.channel(secret="env:HOOK_SECRET"))
    fire(world)
    outbox.deliver_channel("sink", world.now)
    headers, body = sink.received[0]
    assert headers["X-Gatelens-Signature"] == sign("s3cret", headers["X-Gatelens-Timestamp"], body)
    notice = sink.notices[0]
    assert notice["version"] == "4"
    assert notice["status"] == "firing"
    assert notice["groupLabels"] == {"alertname": "errors"}
    assert notice["commonLabels"]["api"] == "orders"
    assert notice["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert headers["X-Gatelens-Delivery"] == notice["key"]
    assert outbox.deliver_channel("sink", world.now).sent == 0


@pytest.mark.parametrize("answer", [500, 502, 503, 429, 408])
def test_failing_receiver_is_tried_again_until_it_takes_it(tmp_path, sink, answer):
    world, outbox = make(tmp_path, sink.channel())
    sink.answers = [answer] * 4
    fire(world)
    attempts, now = 0, world.now
    while not sink.received:
        outbox.deliver_channel("sink", now)
        attempts += 1
        now += BACKOFF_MAX_S
        assert attempts < 10
    assert attempts == 5
    assert len(sink.received) == 1


def test_retry_waits_as_long_as_the_receiver_asks(tmp_path, sink):
    world, outbox = make(tmp_path, sink.channel())
    sink.answers, sink.headers = [429], {"Retry-After": "120"}
    fire(world)
    outbox.deliver_channel("sink", world.now)
    assert outbox_rows(world.state)[0]["next_attempt_at"] == world.now + 120
    assert outbox.deliver_channel("sink", world.now + 119).sent == 0
    assert outbox.deliver_channel("sink", world.now + 120).sent == 1


def test_refused_notification_becomes_a_dead_letter_and_the_others_hear_of_it(tmp_path, sink):
    with running_sink() as other:
        world, outbox = make(tmp_path, sink.channel(), other.channel("other"))
        sink.answers = [400]
        fire(world)
        assert outbox.deliver_channel("sink", world.now).dead == 1
        outbox.deliver_channel("other", world.now)
        names = [n["alerts"][0]["labels"]["alertname"] for n in other.notices]
        assert names == ["errors", "GatelensNotificationUndelivered"]
        store = AlertStore(world.state, clock=lambda: world.now)
        dead = store.notifications(dead_only=True)
        assert [d.channel for d in dead] == ["sink"]
        assert store.counts().dead_letters == 1
        assert store.retry(dead[0].id)
        assert outbox.deliver_channel("sink", world.now).sent == 1


def test_endless_failure_ends_as_a_dead_letter(tmp_path):
    def sender(channel, notice, now):
        raise DeliveryFailed("always", retry=True)

    channel = ChannelConfig("sink", "webhook", url="https://x.example")
    world, outbox = make(tmp_path, channel, senders={"webhook": sender})
    fire(world)
    now, rounds = world.now, 0
    while not AlertStore(world.state).counts().dead_letters:
        outbox.deliver_channel("sink", now)
        now += BACKOFF_MAX_S
        rounds += 1
    assert rounds == DELIVERY_ATTEMPTS_MAX


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("point", ["before sending", "after sending", "after marking"])
def test_kill_between_any_two_steps_loses_nothing(tmp_path, sink, point):
    """Each alert arrives; what arrives twice carries the same key."""
    alive = {"now": False}

    def sender(channel, notice, now):
        if point == "before sending" and not alive["now"]:
            raise Killed
        send_webhook(channel, notice, now)
        if point == "after sending" and not alive["now"]:
            raise Killed

    world, outbox = make(tmp_path, sink.channel(), senders={"webhook": sender})
    fire(world)

    def die(_):
        raise Killed

    if point == "after marking":
        sa.event.listen(world.state, "commit", die)
    with pytest.raises(Killed):
        outbox.deliver_channel("sink", world.now)
    if point == "after marking":
        sa.event.remove(world.state, "commit", die)
    alive["now"] = True
    world.restart()
    world.step()
    outbox.deliver_channel("sink", world.now)
    keys = [n["key"] for n in sink.notices]
    assert len(set(keys)) == 1
    assert len(keys) == (1 if point == "before sending" else 2)
    assert AlertStore(world.state).counts().undelivered == 0


def test_notifications_of_one_group_stay_in_order(tmp_path, sink):
    world, outbox = make(tmp_path, sink.channel())
    sink.answers = [500, 500]
    fire(world)
    outbox.deliver_channel("sink", world.now)
    fire(world, value=0.0)
    outbox.deliver_channel("sink", world.now)  # the resolve must not overtake the firing
    assert sink.received == []
    outbox.deliver_channel("sink", world.now + 60)
    assert [n["status"] for n in sink.notices] == ["firing", "resolved"]


def test_hanging_channel_delays_nobody(tmp_path, sink):
    with running_sink() as slow:
        slow.answers = [None] * 10
        world, outbox = make(tmp_path, slow.channel("slow"), sink.channel("quick"))
        fire(world)
        started = time.monotonic()
        outbox.deliver_due(world.now)
        fire(world, api="billing")
        outbox.deliver_due(world.now)
        assert time.monotonic() - started < 1.0
        while len(sink.received) < 2 and time.monotonic() - started < 4.0:
            outbox.deliver_due(world.now)
        assert len(sink.received) == 2
        slow.release.set()
        outbox.close()
        assert {r["channel"] for r in outbox_rows(world.state) if not r["delivered_at"]} == {"slow"}


def test_rate_limit_holds_the_rest_back(tmp_path, sink):
    world, outbox = make(tmp_path, sink.channel(rate_per_minute=3))
    for i in range(5):
        fire(world, api=f"api-{i}")
    assert outbox.deliver_channel("sink", world.now).sent == 3
    assert outbox.deliver_channel("sink", world.now + 30).sent == 0
    assert outbox.deliver_channel("sink", world.now + 61).sent == 2


def test_removed_channel_leaves_a_dead_letter(tmp_path):
    world, outbox = make(tmp_path, ChannelConfig("gone", "webhook", url="https://x.example"))
    fire(world)
    emptied = Outbox(world.state, {}, clock=lambda: world.now)
    emptied.deliver_due()
    assert AlertStore(world.state).counts().dead_letters == 1
    assert outbox.deliver_channel("gone", world.now).sent == 0


def test_missing_secret_is_retried_and_never_shown(tmp_path, sink):
    world, outbox = make(tmp_path, sink.channel(secret="env:NO_SUCH_SECRET_HERE"))
    fire(world)
    assert outbox.deliver_channel("sink", world.now).retried == 1
    assert "NO_SUCH_SECRET_HERE" in outbox_rows(world.state)[0]["error"]


def test_strange_errors_are_kept_by_type_only(tmp_path):
    def sender(channel, notice, now):
        raise ValueError("https://hooks.example/T0/secret-token")

    channel = ChannelConfig("x", "webhook", url="https://x.example")
    world, outbox = make(tmp_path, channel, senders={"webhook": sender})
    fire(world)
    outbox.deliver_channel("x", world.now)
    assert outbox_rows(world.state)[0]["error"] == "ValueError"


def test_round_with_delivery_tidies_up_what_was_delivered_long_ago(tmp_path, sink):
    world, outbox = make(tmp_path, sink.channel())
    fire(world)
    outbox.deliver_channel("sink", world.now)
    world.engine.tick(world.now + 5)
    assert len(outbox_rows(world.state)) == 1
    world.now += 8 * 86_400
    world.restart()
    world.engine.tick(world.now)
    world.engine.close()
    # Only the repeat of the alert that still fires is there, not what was delivered 8 days ago.
    assert [row["created_at"] for row in outbox_rows(world.state)] == [world.now]


def test_backoff_grows_is_bounded_and_random():
    rng = random.Random(1)
    waits = [backoff_s(n, rng) for n in range(1, 40)]
    assert 1.0 <= waits[0] <= 2.0
    assert all(w <= BACKOFF_MAX_S for w in waits)
    assert len({backoff_s(30, rng) for _ in range(5)}) == 5


def test_answer_that_is_dripped_ends_at_the_deadline(tmp_path):
    import socket
    import threading

    from alerting.http_post import post
    from tests.alerting.world import LOOPBACK

    server = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip():
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\n")
            while not stop.wait(0.05):
                try:
                    peer.sendall(b"X-A: b\r\n")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    started = time.monotonic()
    url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    with pytest.raises(DeliveryFailed) as failed:
        post(url, b"{}", {}, allowed=LOOPBACK, timeout_s=0.4)
    assert failed.value.retry
    assert time.monotonic() - started < 3.0
    stop.set()
    thread.join()
    server.close()
