"""Local copies of an object store's data files, bounded in size.

Data files never change once written, so a copy is right for as long as it is there. Several
processes share the folder: a copy appears whole (rename), and one that was used within
KEEP_SECONDS is never evicted, so a query keeps what it was promised.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

KEEP_SECONDS = 600.0
"""A copy used this recently is not evicted, even over the limit: longer than any query runs."""

_EVICT_EVERY_BYTES = 64 * 1024 * 1024
"""Bytes added before the folder's size is measured again."""


class FileCache:
    """Copies in `folder`, named as in the store. Thread-safe, and safe between processes."""

    def __init__(
        self, folder: Path, bytes_max: int, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder = folder
        self.bytes_max = bytes_max
        self._clock = clock
        self._lock = threading.Lock()
        self._added = 0

    def missing(self, files: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Those of the files (name, bytes) that have no whole copy; the others count as used."""
        now = self._clock()
        absent = []
        for path, size in files:
            place = self.folder / path
            try:
                if place.stat().st_size == size:
                    os.utime(place, (now, now))
                    continue
            except FileNotFoundError:
                pass
            absent.append((path, size))
        return absent

    def put(self, path: str, chunks: Sequence[bytes | memoryview]) -> None:
        """Keep a copy, whole from the moment it is named."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".{place.name}.{uuid.uuid4().hex}.tmp")
        try:
            with temporary.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
            os.replace(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)
        self.added(sum(len(c) for c in chunks))

    def forget(self, path: str) -> None:
        (self.folder / path).unlink(missing_ok=True)

    def added(self, size: int) -> None:
        """Bytes were added; now and then that makes room again."""
        with self._lock:
            self._added += size
            if self._added < min(_EVICT_EVERY_BYTES, self.bytes_max // 8):
                return
            self._added = 0
        self.evict()

    def evict(self) -> int:
        """Delete the copies that were not used for longest until the rest fits; bytes freed."""
        found = []
        for place, _folders, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(place, name)
                try:
                    stat = os.stat(path)
                except FileNotFoundError:
                    continue
                found.append((stat.st_mtime, stat.st_size, path))
        total, freed = sum(size for _at, size, _path in found), 0
        limit = self._clock() - KEEP_SECONDS
        for used, size, path in sorted(found):
            if total - freed <= self.bytes_max or used > limit:
                break
            Path(path).unlink(missing_ok=True)
            freed += size
        if freed:
            log.info("lake_cache_evicted", bytes=freed)
        return freed
