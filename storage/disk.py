"""Whether there is room: intake asks before it takes, so that the disk never fills up."""

from __future__ import annotations

import shutil
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


def free_bytes_ok(settings: StorageSettings, *, needed_bytes: int = 0) -> bool:
    """Whether `needed_bytes` can be written without touching the reserve."""
    return disk_space(settings, needed_bytes=needed_bytes).ok


def require_free_bytes(settings: StorageSettings, *, needed_bytes: int = 0) -> None:
    """Raises DiskLow (retryable) when the reserve would be touched."""
    space = disk_space(settings, needed_bytes=needed_bytes)
    if not space.ok:
        raise DiskLow(str(settings.data_dir), max(space.free_bytes, 0), space.reserve_bytes)
