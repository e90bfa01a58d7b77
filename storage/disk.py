"""Whether there is room: intake asks before it takes, so that the disk never fills up."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from storage.errors import DiskLow
from storage.settings import StorageSettings


@dataclass(frozen=True, slots=True)
class DiskSpace:
    free_bytes: int
    reserve_bytes: int
    """Kept free: below it, intake is refused."""

    @property
    def ok(self) -> bool:
        return self.free_bytes >= self.reserve_bytes


def disk_space(settings: StorageSettings, *, needed_bytes: int = 0) -> DiskSpace:
    """Free space of the data folder's disk (of its nearest existing parent before it is made).
    `needed_bytes` are about to be written and count as used. One system call: cheap to ask."""
    place = Path(settings.data_dir).absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free - needed_bytes
    return DiskSpace(free, settings.disk_reserve_mb * 1024 * 1024)


ASK_S = 0.1
"""How long an answer of the system that left room is believed, less what was promised since."""


class FreeSpace:
    """Whether there is room, for who asks hundreds of times a second. Thread-safe."""

    def __init__(
        self, settings: StorageSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._left = 0
        self._believed_until = -1.0

    def ok(self, needed_bytes: int) -> bool:
        """Whether they can be written; if so they count as used until the system is asked again. It
        is asked at once where the last answer leaves no room, so recovery needs no restart."""
        with self._lock:
            now = self._clock()
            if now >= self._believed_until or needed_bytes > self._left:
                space = disk_space(self._settings)
                self._left = space.free_bytes - space.reserve_bytes
                self._believed_until = now + ASK_S
            if needed_bytes > self._left:
                return False
            self._left -= needed_bytes
            return True


def require_free_bytes(settings: StorageSettings, *, needed_bytes: int = 0) -> None:
    """Raises DiskLow (retryable) when the reserve would be touched."""
    space = disk_space(settings, needed_bytes=needed_bytes)
    if not space.ok:
        raise DiskLow(str(settings.data_dir), max(space.free_bytes, 0), space.reserve_bytes)
