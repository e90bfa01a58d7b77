"""Where the lake's files lie: a local folder, or a bucket of an S3-compatible object store.

Everything above works on names relative to the store ("requests/_delta_log/000...01.json"). Data
files are written to, and read by DuckDB from, `folder`: of a local store that is the place itself,
of an object store a bounded local copy, which is why `publish` and `fetch` exist.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from deltalake import DeltaTable

from storage.errors import LakeError
from storage.files import (
    fsync_file,
    fsync_folder,
    link_once,
    replace_durably,
    write_durably,
)
from storage.settings import StorageSettings


@dataclass(frozen=True, slots=True)
class StoredFile:
    path: str
    """Relative to the store."""
    size: int
    modified_s: float
    """Epoch seconds, by the store's clock."""


class Store(Protocol):
    """Names are relative, with `/`. Thread-safe. Failures are OSError; a name that is not there is
    FileNotFoundError."""

    @property
    def folder(self) -> Path:
        """Local folder in which data files are written and read."""

    @property
    def url(self) -> str:
        """For people and other engines; never holds a credential."""

    @property
    def is_local(self) -> bool:
        """Whether `folder` is the place itself."""

    def read(self, path: str) -> bytes: ...

    def open(self, path: str) -> BinaryIO:
        """For reading parts of a file; seekable."""

    def exists(self, path: str) -> bool: ...

    def list(self, prefix: str) -> Iterator[StoredFile]:
        """Every file below a prefix that ends in `/`, at any depth; none when it is not there."""

    def drafted(self, folder: str, data: bytes) -> AbstractContextManager[Callable[[str], bool]]:
        """Offers data for publication under a name in `folder`, once: the function handed out takes
        a full name and gives False when that name is taken. Call `confirm` after True."""

    def confirm(self, path: str) -> None:
        """Make a name that a draft got survive a power cut. OSError: it may or may not."""

    def replace(self, path: str, data: bytes) -> None:
        """Write or replace a file, whole and durably."""

    def publish(self, path: str) -> None:
        """Make a data file that was written (and synced) in `folder` part of the store."""

    def fetch(self, files: Iterable[tuple[str, int]]) -> None:
        """Have data files (name, bytes) in `folder`. Raises LakeError when they are more than fits,
        OSError when one cannot be had; a local store has nothing to do and raises nothing."""

    def delete(self, path: str) -> None:
        """No error when it is gone already."""

    def delta(self, table: str) -> DeltaTable:
        """The table as deltalake sees it."""

    def sync_checkpoint(self, table: str, version: int) -> None:
        """Make a checkpoint that deltalake wrote survive a power cut."""


class LocalStore:
    """A folder on a local or network file system with link(2) and fsync(2)."""

    is_local = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = str(folder)

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    def open(self, path: str) -> BinaryIO:
        return (self.folder / path).open("rb")

    def exists(self, path: str) -> bool:
        return (self.folder / path).exists()

    def list(self, prefix: str) -> Iterator[StoredFile]:
        for place, _folders, names in os.walk(self.folder / prefix):
            for name in names:
                full = os.path.join(place, name)
                try:
                    found = os.stat(full)
                except FileNotFoundError:
                    continue  # gone since
                yield StoredFile(os.path.relpath(full, self.folder), found.st_size, found.st_mtime)

    @contextmanager
    def drafted(self, folder: str, data: bytes) -> Iterator[Callable[[str], bool]]:
        place = self.folder / folder
        place.mkdir(parents=True, exist_ok=True)
        temporary = place / f"_commit_{uuid.uuid4().hex}.json.tmp"
        try:
            write_durably(temporary, data)
            yield lambda path: link_once(temporary, self.folder / path)
        finally:
            temporary.unlink(missing_ok=True)

    def confirm(self, path: str) -> None:
        fsync_folder((self.folder / path).parent)

    def replace(self, path: str, data: bytes) -> None:
        replace_durably(self.folder / path, data)

    def publish(self, path: str) -> None:
        """Written and synced in place: nothing to do."""

    def fetch(self, files: Iterable[tuple[str, int]]) -> None:
        """They are here."""

    def delete(self, path: str) -> None:
        (self.folder / path).unlink(missing_ok=True)

    def delta(self, table: str) -> DeltaTable:
        return DeltaTable(str(self.folder / table))

    def sync_checkpoint(self, table: str, version: int) -> None:
        log = self.folder / table / "_delta_log"
        for path in log.glob(f"{version:020d}.checkpoint*.parquet"):
            fsync_file(path)
        fsync_file(log / "_last_checkpoint")
        fsync_folder(log)


def open_store(url: str, settings: StorageSettings) -> Store:
    """The store of a folder or of `s3://bucket/prefix`. Opens no connection. Raises LakeError for
    another scheme or a URL with credentials in it."""
    if "://" not in url:
        return LocalStore(Path(url).absolute())
    scheme = url.split("://", 1)[0]
    if scheme != "s3":
        raise LakeError(
            f"The lake cannot be at {scheme}://...", hint="Give a folder or s3://bucket/prefix."
        )
    from storage.store_object import ObjectStore  # not loaded where nobody needs it

    return ObjectStore(url, settings.data_dir / "cache", settings.lake_cache_mb * 1024 * 1024)
