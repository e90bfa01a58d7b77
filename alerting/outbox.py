"""Delivery: what is in the outbox reaches its channel at least once.

A notification is marked delivered only after the channel took it; a crash between the two sends it
again, with the same key. Failures are retried with a growing, random wait that survives restarts;
what will never be taken becomes a dead letter, and the other channels are told. Within one group of
alerts a channel hears things in order. Every channel has a thread of its own, so a slow one delays
nobody else.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from alerting.channel import ChannelConfig
from alerting.errors import AlertingError, DeliveryFailed
from alerting.limits import (
    BACKOFF_BASE_S,
    BACKOFF_MAX_S,
    CHANNEL_BATCH_MAX,
    DELIVERY_ATTEMPTS_MAX,
)
from alerting.notice import NoticeAlert, OutboxRow, decode_notice, make_notice, outbox_row
from alerting.senders import SENDERS, Sender
from storage.state import outbox

log = structlog.get_logger(__name__)

FAILURES_IN_A_ROW_MAX = 3
"""Then a channel is left until the next round: it is down, and every try costs its timeout."""
DEAD_LETTER_ALERT = "GatelensNotificationUndelivered"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one round did for one channel."""

    sent: int = 0
    retried: int = 0
    dead: int = 0


class Outbox:
    """Sends what is due. One instance per process; `close` waits for what is being sent."""

    def __init__(
        self,
        state: sa.Engine,
        channels: Mapping[str, ChannelConfig],
        *,
        senders: Mapping[str, Sender] = SENDERS,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        external_url: str = "",
    ) -> None:
        self._state = state
        self._channels = channels
        self._senders = senders
        self._clock = clock
        self._rng = rng or random.Random()
        self._external_url = external_url
        self._workers: dict[str, ThreadPoolExecutor] = {}
        self._running: dict[str, Future[Delivered]] = {}
        self._sent_at: dict[str, deque[float]] = {}

    def deliver_due(self, now: float | None = None, *, wait_s: float = 0.0) -> None:
        """Let every channel that is idle send what is due. Returns at once, or after `wait_s`."""
        at = self._clock() if now is None else now
        for name in self._pending_channels(at):
            if name not in self._channels:
                self._bury_all(name, at)
            elif (busy := self._running.get(name)) is None or busy.done():
                if busy is not None:
                    self._report(name, busy)
                worker = self._workers.setdefault(
                    name, ThreadPoolExecutor(1, thread_name_prefix=f"deliver-{name}")
                )
                self._running[name] = worker.submit(self.deliver_channel, name, at)
        if wait_s:
            wait(self._running.values(), timeout=wait_s)

    def deliver_channel(self, name: str, now: float) -> Delivered:
        """Send what is due for one channel, in this thread."""
        channel = self._channels[name]
        send = self._senders[channel.type]
        blocked: set[str] = set()  # groups whose earlier notice is not out yet
        sent = retried = dead = in_a_row = 0
        for row in self._waiting(name):
            if sent + retried + dead >= CHANNEL_BATCH_MAX or in_a_row >= FAILURES_IN_A_ROW_MAX:
                break
            if row["group_key"] in blocked:
                continue
            if row["next_attempt_at"] > now:
                blocked.add(row["group_key"])
                continue
            if not self._may_send(channel, now):
                break
            try:
                send(channel, decode_notice(row["payload"]), now)
            except Exception as err:
                if self._failed(row, err, now):
                    dead += 1
                else:
                    retried, in_a_row = retried + 1, in_a_row + 1
                    blocked.add(row["group_key"])
            else:
                self._mark(row["id"], delivered_at=now, attempts=row["attempts"] + 1, error=None)
                sent, in_a_row = sent + 1, 0
        return Delivered(sent, retried, dead)

    def prune(self, before: float) -> int:
        """Forget notifications that were delivered before that time; how many."""
        with self._state.begin() as connection:
            return connection.execute(
                sa.delete(outbox).where(outbox.c.delivered_at < before)
            ).rowcount

    def close(self) -> None:
        for worker in self._workers.values():
            worker.shutdown(wait=True, cancel_futures=True)
        for name, future in self._running.items():
            if not future.cancelled():
                self._report(name, future)

    def _pending_channels(self, now: float) -> list[str]:
        query = sa.select(outbox.c.channel).distinct()
        due = query.where(
            outbox.c.delivered_at.is_(None),
            outbox.c.dead_at.is_(None),
            outbox.c.next_attempt_at <= now,
        )
        with self._state.connect() as connection:
            return list(connection.execute(due).scalars())

    def _waiting(self, channel: str) -> Sequence[sa.RowMapping]:
        query = sa.select(outbox).where(
            outbox.c.channel == channel,
            outbox.c.delivered_at.is_(None),
            outbox.c.dead_at.is_(None),
        )
        with self._state.connect() as connection:
            return connection.execute(query.order_by(outbox.c.id).limit(1_000)).mappings().all()

    def _may_send(self, channel: ChannelConfig, now: float) -> bool:
        sent_at = self._sent_at.setdefault(channel.name, deque())
        while sent_at and sent_at[0] <= now - 60.0:
            sent_at.popleft()
        if len(sent_at) >= channel.rate_per_minute:
            return False
        sent_at.append(now)
        return True

    def _failed(self, row: sa.RowMapping, err: Exception, now: float) -> bool:
        """Note a failure; True when it was the last one."""
        attempts = row["attempts"] + 1
        hopeless = isinstance(err, DeliveryFailed) and not err.retry
        # Anything that is not ours may carry a URL in its text: only its type is kept.
        said = str(err) if isinstance(err, AlertingError) else type(err).__name__
        if hopeless or attempts >= DELIVERY_ATTEMPTS_MAX:
            log.error("notification_dead", channel=row["channel"], key=row["key"], error=said)
            self._bury(row, attempts, said, now)
            return True
        asked = err.retry_after_s if isinstance(err, DeliveryFailed) else None
        wait_s = max(backoff_s(attempts, self._rng), asked or 0.0)
        log.warning(
            "notification_retried",
            channel=row["channel"], key=row["key"], attempt=attempts, wait_s=wait_s, error=said,
        )  # fmt: skip
        self._mark(row["id"], attempts=attempts, next_attempt_at=now + wait_s, error=said)
        return False

    def _mark(self, row_id: int, **values: float | str | None) -> None:
        with self._state.begin() as connection:
            connection.execute(sa.update(outbox).where(outbox.c.id == row_id).values(values))

    def _bury(self, row: sa.RowMapping, attempts: int, error: str, now: float) -> None:
        """Make a dead letter, and tell the other channels in the same transaction."""
        values = {"attempts": attempts, "dead_at": now, "error": error}
        told = [] if row["key"].startswith("dead:") else self._obituaries(row, error, now)
        with self._state.begin() as connection:
            connection.execute(sa.update(outbox).where(outbox.c.id == row["id"]).values(values))
            if told:
                connection.execute(sa.insert(outbox), told)

    def _bury_all(self, channel: str, now: float) -> None:
        for row in self._waiting(channel):
            log.error("notification_dead", channel=channel, key=row["key"], error="no such channel")
            self._bury(row, row["attempts"], f"No channel is called {channel!r} any more.", now)

    def _obituaries(self, row: sa.RowMapping, error: str, now: float) -> list[OutboxRow]:
        lost = decode_notice(row["payload"])
        rows: list[OutboxRow] = []
        for name in self._channels:
            if name == row["channel"]:
                continue
            key = f"dead:{row['id']}:{int(now * 1000)}:{name}"
            alert = NoticeAlert(
                status="firing",
                labels={
                    "alertname": DEAD_LETTER_ALERT,
                    "severity": lost.severity,
                    "channel": row["channel"],
                },
                annotations={
                    "summary": f"Channel {row['channel']} did not take: {lost.title}",
                    "description": error,
                },
                starts_at=now,
                ends_at=None,
                generator_url=self._external_url,
                fingerprint=f"dead-{row['id']}",
            )
            notice = make_notice(
                key=key,
                group_key=f"dead:{row['id']}",
                receiver=name,
                group_labels={"alertname": DEAD_LETTER_ALERT},
                alerts=(alert,),
                external_url=self._external_url,
            )
            rows.append(outbox_row(notice, now))
        return rows

    def _report(self, name: str, done: Future[Delivered]) -> None:
        # A worker that broke (the state store was away) leaves its rows due: the next round takes
        # them. It is said aloud, as the channel hears nothing meanwhile.
        if done.done() and (error := done.exception()) is not None:
            log.error("delivery_round_failed", channel=name, error=type(error).__name__)


def backoff_s(attempts: int, rng: random.Random) -> float:
    """Wait after the n-th failed attempt: doubling, bounded, a random half taken off."""
    full = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2.0 ** min(attempts - 1, 30))
    return full * rng.uniform(0.5, 1.0)
