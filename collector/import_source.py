"""Open what `gatelens import` is given: files, globs, gzip, zstd, standard input."""

from __future__ import annotations

import glob
import io
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from zlib_ng import gzip_ng

from collector.errors import CollectorError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STDIN = "-"

SPOOL_MEMORY_BYTES = 8 * 1024 * 1024
"""What is read of a pipe until its identity is settled is in memory up to this, then on disk."""


class ImportFailed(CollectorError):
    """An import cannot start or go on; the sentence names the file and what to do."""


def expand_paths(patterns: Iterable[str | Path]) -> list[str]:
    """Files of names and globs, sorted within a glob, each once. Raises ImportFailed."""
    found: dict[str, None] = {}
    for pattern in map(str, patterns):
        if pattern == STDIN:
            found[STDIN] = None
            continue
        names = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))
        if not names:
            raise ImportFailed(f"no file is called {pattern!r}; check the name or the pattern")
        for name in names:
            if Path(name).is_dir():
                if name == pattern:
                    raise ImportFailed(f"{name!r} is a folder; say which files: {name}/*.log")
                continue
            found[name] = None
    return list(found)


@dataclass(slots=True)
class Source:
    """One stream of uncompressed bytes that can be started again.

    `finished`: nothing will be added to it (compressed, or a pipe). `share()` is how much of it was
    read, 0 to 1, None where nobody knows.
    """

    name: str
    finished: bool
    size: int | None
    """Bytes on disk; None for a pipe."""
    _raw: BinaryIO
    _stream: BinaryIO = field(init=False)

    def __post_init__(self) -> None:
        self._stream = _uncompressed(self._raw)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; b'' at the end. Raises ImportFailed on damaged compressed data."""
        try:
            data = self._stream.read(size)
        except (EOFError, OSError, zstd.ZstdError, ValueError) as err:
            raise ImportFailed(
                f"{self.name}: the compressed data is damaged after what was read so far ({err})"
            ) from err
        return data or b""

    def restart(self) -> None:
        """Go back to the first byte."""
        self._raw.seek(0)
        self._stream = _uncompressed(self._raw)

    def settle(self) -> None:
        """`restart` will not be called any more: a pipe need not be remembered."""
        if isinstance(self._raw, _Replayed):
            self._raw.recording = False

    def share(self) -> float | None:
        if not self.size:
            return None
        return min(1.0, self._raw.tell() / self.size)

    def close(self) -> None:
        self._raw.close()

    def inode(self) -> tuple[int, int]:
        """Device and inode of the open file."""
        status = os.fstat(self._raw.fileno())
        return status.st_dev, status.st_ino


def open_source(path: str, stdin: BinaryIO | None = None) -> Source:
    """Open a file or `-`. Compression is told by the first bytes, not by the name."""
    if path == STDIN:
        pipe = cast(BinaryIO, _Replayed(stdin or sys.stdin.buffer))
        return Source("stdin", True, None, pipe)
    try:
        raw = open(path, "rb")  # noqa: SIM115 - closed by Source.close
    except OSError as err:
        reason = err.strerror or str(err)
        raise ImportFailed(f"{path} cannot be read: {reason}") from err
    size = os.fstat(raw.fileno()).st_size
    compressed = raw.read(4)[:4]
    raw.seek(0)
    return Source(path, _kind(compressed) != "", size, raw)


def _kind(magic: bytes) -> str:
    if magic[:2] == b"\x1f\x8b":
        return "gzip"
    return "zstd" if magic == b"\x28\xb5\x2f\xfd" else ""


def _uncompressed(raw: BinaryIO) -> BinaryIO:
    magic = raw.read(4)
    while len(magic) < 4 and (more := raw.read(4 - len(magic))):
        magic += more
    raw.seek(0)
    kind = _kind(magic)
    if kind == "gzip":
        return cast(BinaryIO, gzip_ng.GzipNGFile(fileobj=raw, mode="rb"))  # type: ignore[no-untyped-call]
    return cast(BinaryIO, zstd.ZstdFile(raw)) if kind == "zstd" else raw


class _Replayed(io.RawIOBase):
    """A pipe that can be read again from its first byte. Keeps what it read, spilling to disk."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._spool = SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES)  # noqa: SIM115
        self._length = 0
        self._at = 0
        self.recording = True

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """What there is, up to `size`: a slow pipe is not waited for until `size` is full."""
        if self._at < self._length:
            self._spool.seek(self._at)
            data = self._spool.read(size)
        else:
            pipe = self._pipe
            data = pipe.read1(size) if hasattr(pipe, "read1") else pipe.read(size)
            if self.recording:
                self._spool.seek(self._length)
                self._spool.write(data)
                self._length += len(data)
        self._at += len(data)
        return data

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence != 0:
            raise OSError("a pipe can only be read from its start")
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._spool.close()
        super().close()
