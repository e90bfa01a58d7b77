"""How often somebody may guess: per account and per network, each a bucket that fills with time.

An address that has logged in to an account before has a bucket of its own for it, so that guessing
at somebody's password from elsewhere does not lock them out.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from dashboards.people.errors import TooManyAttempts

ACCOUNT_BURST = 6
ACCOUNT_PER_MINUTE = 1.0
NETWORK_BURST = 20
NETWORK_PER_MINUTE = 6.0
NOTED_EVERY_S = 60.0
"""Guesses that are put off go to the audit log as one entry per network and so many seconds, with
their number: a guesser must not be able to fill it."""
NOTED_NETWORKS_MAX = 500
"""Networks of that at a time; of more, the entry of the longest known one is written first."""
REMEMBERED_MAX = 20_000
"""Buckets and proven addresses kept, least recently used first out."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Attempts:
    """Thread-safe, bounded. Counters since the start: `failed`, `put_off`, `succeeded`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[tuple[str, ...], _Bucket] = OrderedDict()
        self._proven: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._unnoted: OrderedDict[str, tuple[float | None, int]] = OrderedDict()
        """Network -> when its last entry was written, guesses put off since."""
        self.failed = 0
        self.put_off = 0
        self.succeeded = 0

    def take(self, account: str, address: str) -> None:
        """Before a guess is looked at. Every guess counts until it was right.

        `account` '' = only the network counts. Raises TooManyAttempts.
        """
        with self._lock:
            waits = [self._wait(key, *cost) for key, cost in self._keys(account, address)]
            if max(waits) > 0:
                self.put_off += 1
                raise TooManyAttempts(max(waits))
            for key, _ in self._keys(account, address):
                self._buckets[key].left -= 1

    def right(self, account: str, address: str) -> None:
        """The guess was right: what it took is given back."""
        with self._lock:
            self.succeeded += 1
            for key, (burst, _) in self._keys(account, address):
                bucket = self._buckets.get(key)
                if bucket is not None:
                    bucket.left = min(burst, bucket.left + 1)
            if account:
                self._proven[(account, network(address))] = None
                self._proven.move_to_end((account, network(address)))
                while len(self._proven) > REMEMBERED_MAX:
                    self._proven.popitem(last=False)

    def wrong(self) -> None:
        with self._lock:
            self.failed += 1

    def to_note(self, address: str) -> list[tuple[str, int]]:
        """After a guess was put off: (network, guesses put off since its last entry) of the
        entries that are due for the audit log now."""
        net, now = network(address), self._clock()
        with self._lock:
            noted, waiting = self._unnoted.pop(net, (None, 0))
            self._unnoted[net] = (noted, waiting + 1)
            due = []
            for known, (at, number) in list(self._unnoted.items()):
                if at is not None and now - at < NOTED_EVERY_S:
                    continue
                if number:
                    due.append((known, number))
                    self._unnoted[known] = (now, 0)
                else:
                    del self._unnoted[known]
            while len(self._unnoted) > NOTED_NETWORKS_MAX:
                known, (_, number) = self._unnoted.popitem(last=False)
                due += [(known, number)] if number else []
            return due

    def _keys(
        self, account: str, address: str
    ) -> list[tuple[tuple[str, ...], tuple[float, float]]]:
        net = network(address)
        keys: list[tuple[tuple[str, ...], tuple[float, float]]] = [
            (("network", net), (NETWORK_BURST, NETWORK_PER_MINUTE))
        ]
        if account:
            own = ("account", account, net) if (account, net) in self._proven else None
            key = own or ("account", account)
            keys.append((key, (ACCOUNT_BURST, ACCOUNT_PER_MINUTE)))
        return keys

    def _wait(self, key: tuple[str, ...], burst: float, per_minute: float) -> float:
        """Seconds until the bucket holds one; refills it."""
        now = self._clock()
        bucket = self._buckets.setdefault(key, _Bucket(burst, now))
        bucket.left = min(burst, bucket.left + (now - bucket.at) * per_minute / 60)
        bucket.at = now
        self._buckets.move_to_end(key)
        while len(self._buckets) > REMEMBERED_MAX:
            self._buckets.popitem(last=False)
        return 0.0 if bucket.left >= 1 else (1 - bucket.left) * 60 / per_minute


def network(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one: what one guesser has to itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
