"""Requests that were sent again because an answer got lost are recognised by what they say.

The digest covers the sender's credential, the format and the decompressed body: a retry may be
compressed anew (gzip headers carry a time), and two tenants may send the same bytes. It is
Poly1305 under a secret key of the installation: 6.3 GB/s here (SHA-256 1.6, BLAKE2b 0.8), and
unlike with a checksum nobody who lacks the key can craft two bodies that look alike. Digests stay
in the log and in memory; a sender never sees one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Generic, Literal, TypeVar

from cryptography.hazmat.primitives.poly1305 import Poly1305

GENERATION_S = 30
"""Digests are forgotten in lots of this many seconds; the window is kept at least, and at most
one lot longer."""

Leader = TypeVar("Leader")
Seen = Literal["new", "in_flight", "stored"]


def digest_of(key: bytes, credential: str, format: str, body: bytes) -> bytes:
    """16 bytes. `key`: 32 secret bytes, the same after a restart. `credential` names whose data it
    is (tenant and token, never the secret)."""
    digest = Poly1305(key)
    digest.update(f"{credential}\0{format}\0".encode())
    digest.update(body)
    return digest.finalize()


class Dedupe(Generic[Leader]):
    """Digests of the last `window_s` seconds. Thread-safe.

    A request is in flight from `begin` to `settle`; one that equals it meanwhile is handed the
    first one (its leader) to share the outcome with.
    """

    def __init__(self, window_s: int, entries_max: int) -> None:
        self._window_s = window_s
        self._entries_max = entries_max
        self._lock = threading.Lock()
        self._stored: dict[bytes, int] = {}  # digest -> generation
        self._generations: deque[tuple[int, list[bytes]]] = deque()
        self._in_flight: dict[bytes, Leader] = {}
        self.forgotten_early = 0
        """Digests dropped before their time because there were too many."""

    def __len__(self) -> int:
        return len(self._stored)

    def begin(self, digest: bytes, leader: Leader, now_s: float) -> tuple[Seen, Leader | None]:
        """new: the caller goes on, and must call `settle`. in_flight: an equal request is on its
        way, it is returned. stored: its data is durable already."""
        with self._lock:
            self._expire(now_s)
            if digest in self._stored:
                return "stored", None
            first = self._in_flight.get(digest)
            if first is not None:
                return "in_flight", first
            self._in_flight[digest] = leader
            return "new", None

    def settle(self, digest: bytes, received_s: float, *, stored: bool) -> None:
        """The leader's outcome. A refused one may be sent again."""
        with self._lock:
            self._in_flight.pop(digest, None)
            if stored and self._window_s:
                self._add(digest, received_s)

    def remember(self, digests: Iterable[tuple[bytes, int]], now_s: float) -> None:
        """Take (digest, received ns) of earlier runs, in any order; too old ones are left out."""
        oldest = now_s - self._window_s
        fresh = [(received / 1e9, d) for d, received in digests if received / 1e9 >= oldest]
        with self._lock:
            for received_s, digest in sorted(fresh):
                self._add(digest, received_s)

    def _add(self, digest: bytes, received_s: float) -> None:
        generation = int(received_s // GENERATION_S)
        if not self._generations or self._generations[-1][0] < generation:
            self._generations.append((generation, []))
        # A clock that steps back adds to the newest lot: remembered a little longer, never less.
        self._stored[digest] = self._generations[-1][0]
        self._generations[-1][1].append(digest)
        while len(self._stored) > self._entries_max and len(self._generations) > 1:
            self.forgotten_early += self._drop_oldest()

    def _expire(self, now_s: float) -> None:
        oldest = (now_s - self._window_s) // GENERATION_S
        while self._generations and self._generations[0][0] < oldest:
            self._drop_oldest()

    def _drop_oldest(self) -> int:
        generation, digests = self._generations.popleft()
        dropped = 0
        for digest in digests:
            if self._stored.get(digest) == generation:
                del self._stored[digest]
                dropped += 1
        return dropped
