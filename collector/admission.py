"""The budget of bytes in flight: reserved before a body is read, given back once it is answered."""

from __future__ import annotations

import threading

from collector.errors import MemoryFull
from collector.limits import RESERVATION_BYTES_MIN


class ByteBudget:
    """Bytes of requests being handled. Thread-safe."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        return self._used

    def reserve(self, size: int) -> Reservation:
        """Raises MemoryFull and reserves nothing where the budget would be passed."""
        reservation = Reservation(self)
        reservation.grow_to(max(size, RESERVATION_BYTES_MIN))
        return reservation

    def _take(self, size: int) -> None:
        with self._lock:
            if self._used + size > self._bytes_max:
                raise MemoryFull(self._bytes_max)
            self._used += size

    def _give_back(self, size: int) -> None:
        with self._lock:
            self._used -= size
            assert self._used >= 0, "more given back than reserved"


class Reservation:
    """What one request holds of the budget."""

    __slots__ = ("_budget", "size")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.size = 0

    def grow_to(self, size: int) -> None:
        """Hold at least `size`. Raises MemoryFull; what was held stays held."""
        if size > self.size:
            self._budget._take(size - self.size)
            self.size = size

    def hand_over(self) -> Reservation:
        """Another one that holds all this one did."""
        other = Reservation(self._budget)
        other.size, self.size = self.size, 0
        return other

    def release(self) -> None:
        """Give everything back. Safe to repeat."""
        size, self.size = self.size, 0
        if size:
            self._budget._give_back(size)
