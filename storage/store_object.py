"""A bucket of an S3-compatible object store as the lake's place, through obstore.

A commit is a conditional put (If-None-Match: *), which the store answers with success exactly once
per name; so any number of processes on any number of machines commit safely. Credentials come from
the environment alone (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, ...).
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

import obstore
from deltalake import DeltaTable
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from storage.errors import LakeError, StoreUnavailable
from storage.store import StoredFile
from storage.store_cache import FileCache

if TYPE_CHECKING:
    from typing_extensions import Buffer

_FETCH_THREADS = 8
"""Downloads at once: one stream of an object store is slow, eight fill a line."""

_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")


class ObjectStore:
    """`s3://bucket/prefix`. Thread-safe. Opens no connection until it is asked something."""

    is_local = False

    def __init__(self, url: str, cache: Path, cache_bytes_max: int) -> None:
        """Raises LakeError when the URL is not a bucket, or holds credentials."""
        parts = urlsplit(url)
        if parts.username or parts.password or parts.query or "@" in parts.netloc:
            raise LakeError(
                "The lake's URL holds more than a bucket and a prefix.",
                hint="Give credentials in the environment, as AWS_ACCESS_KEY_ID and so on.",
            )
        if not parts.netloc:
            raise LakeError("The lake's URL names no bucket.", hint="Give s3://bucket/prefix.")
        prefix = parts.path.strip("/")
        self.url = f"s3://{parts.netloc}/{prefix}".rstrip("/")
        self.folder = (cache / hashlib.sha256(self.url.encode()).hexdigest()[:16]).absolute()
        self._cache = FileCache(self.folder, cache_bytes_max)
        self._plain_http = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        self._store = S3Store(
            parts.netloc,
            prefix=prefix or None,
            client_options={
                "allow_http": self._plain_http,
                "timeout": timedelta(seconds=60),
                "connect_timeout": timedelta(seconds=5),
            },
            retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=30)},
        )

    def read(self, path: str) -> bytes:
        with self._explained("read", path):
            return bytes(obstore.get(self._store, path).bytes())

    def open(self, path: str) -> BinaryIO:
        with self._explained("read", path):
            return io.BufferedReader(_Parts(obstore.open_reader(self._store, path)))

    def exists(self, path: str) -> bool:
        try:
            with self._explained("find", path):
                obstore.head(self._store, path)
        except FileNotFoundError:
            return False
        return True

    def list(self, prefix: str) -> Iterator[StoredFile]:
        with self._explained("list", prefix):
            for batch in obstore.list(self._store, prefix, chunk_size=1000):
                for found in batch:
                    yield StoredFile(
                        found["path"], found["size"], found["last_modified"].timestamp()
                    )

    @contextmanager
    def drafted(self, folder: str, data: bytes) -> Iterator[Callable[[str], bool]]:
        yield lambda path: self._create(path, data)

    def _create(self, path: str, data: bytes) -> bool:
        try:
            with self._explained("create", path):
                obstore.put(self._store, path, data, mode="create", use_multipart=False)
        except FileExistsError:
            # A put whose answer got lost is sent again by the client and then refused by the file
            # it made itself. Commits are unique, so equal bytes mean: it was us.
            return self.read(path) == data
        return True

    def confirm(self, path: str) -> None:
        """An answered put is durable."""

    def replace(self, path: str, data: bytes) -> None:
        with self._explained("write", path):
            obstore.put(self._store, path, data)

    def publish(self, path: str) -> None:
        place = self.folder / path
        with self._explained("write", path):
            obstore.put(self._store, path, place)
        self._cache.added(place.stat().st_size)

    def fetch(self, files: Iterable[tuple[str, int]]) -> None:
        wanted = list(files)
        size = sum(s for _path, s in wanted)
        if size > self._cache.bytes_max:
            raise LakeError(
                f"The query needs {size >> 20} MB of files; {self._cache.bytes_max >> 20} MB may "
                "be kept here.",
                hint="Narrow the time range, or raise storage.lake_cache_mb.",
            )
        missing = self._cache.missing(wanted)
        if len(missing) == 1:
            self._download(*missing[0])
        elif missing:
            with ThreadPoolExecutor(min(_FETCH_THREADS, len(missing))) as pool:
                for done in [pool.submit(self._download, *m) for m in missing]:
                    done.result()

    def _download(self, path: str, size: int) -> None:
        with self._explained("read", path):
            data = obstore.get(self._store, path).bytes()
        if len(data) != size:
            raise StoreUnavailable("read", path, f"{len(data)} bytes instead of {size}")
        self._cache.put(path, [memoryview(data)])

    def delete(self, path: str) -> None:
        self._cache.forget(path)
        try:
            with self._explained("delete", path):
                obstore.delete(self._store, path)
        except FileNotFoundError:
            pass

    def delta(self, table: str) -> DeltaTable:
        options = {"allow_http": "true"} if self._plain_http else {}
        with self._explained("read", table):
            return DeltaTable(f"{self.url}/{table}", storage_options=options)

    def sync_checkpoint(self, table: str, version: int) -> None:
        """An answered put is durable."""

    @contextmanager
    def _explained(self, verb: str, path: str) -> Iterator[None]:
        """Errors of obstore as OSError, in one sentence, without secrets."""
        try:
            yield
        except (AlreadyExistsError, PreconditionError) as err:
            raise FileExistsError(path) from err
        except FileNotFoundError as err:
            raise FileNotFoundError(f"{self.url}/{path}") from err
        except BaseError as err:
            raise StoreUnavailable(verb, f"{self.url}/{path}", _without_secrets(err)) from None


class _Parts(io.RawIOBase):
    """Ranged reads of an object as a Python file."""

    def __init__(self, source: obstore.ReadableFile) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()

    def readinto(self, buffer: Buffer) -> int:
        target = memoryview(buffer).cast("B")
        data = bytes(self._source.read(len(target)))
        target[: len(data)] = data
        return len(data)


def _without_secrets(err: Exception) -> str:
    text = str(err).split("\n")[0][:300]
    for name in _SECRETS:
        if os.environ.get(name):
            text = text.replace(os.environ[name], "***")
    return f"{type(err).__name__}: {text}"
