"""A power cut at any system call: which files a disk may be left with, and calls that fail.

`Recorder` watches a folder while code runs: every call that changes it is a moment. A file's bytes
are durable as of its last fsync, a folder's names as of the folder's; everything since may have
reached the disk in any order, or in part, or not at all ("All File Systems Are Not Created Equal",
OSDI 2014). `Recorder.disks` lists what such disks would have.

Calls are seen where Python makes them. What libraries in C write (Parquet files) shows in the
contents of files; it becomes durable by an fsync of ours or never.
"""

from __future__ import annotations

import errno
import io
import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

BY_PATH = ("unlink", "remove", "rename", "replace", "link", "mkdir", "rmdir", "truncate")
BY_HANDLE = ("write", "writev", "pwrite", "ftruncate", "fsync", "fdatasync")
SYNCS = ("fsync", "fdatasync")

KEPT = ("none", "names", "bytes", "some")
"""Values of `kept`, from the plainest disk to the most confused."""

KILLED = "all"
"""As `kept`: no power cut, a process that was killed. All that was written is there."""

Names = Mapping[str, int]
"""Name -> number of the file or folder in one folder."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Files (bytes) and folders (None) by their path."""

    files: Mapping[str, bytes | None]

    def write_to(self, target: Path) -> Path:
        target.mkdir(parents=True)
        for name, content in self.files.items():
            if content is None:
                (target / name).mkdir()
            else:
                (target / name).write_bytes(content)
        return target


@dataclass(frozen=True, slots=True)
class Moment:
    """After one call, before the next."""

    number: int
    call: str
    root: int
    names: Mapping[int, Names]
    """Of every folder, as running processes see them."""
    durable_names: Mapping[int, Names]
    contents: Mapping[int, bytes]
    durable_contents: Mapping[int, bytes]

    def disk(self, kept: str, seed: int = 0) -> Disk:
        """The folder as a disk may have it: `kept` says what of the unsynced did reach it.

        none; names (files without their bytes: a rename overtook the data); bytes; some (by seed).
        """
        return Disk(dict(self._walk(self.root, "", kept, random.Random(f"{self.number} {seed}"))))

    def _walk(
        self, folder: int, place: str, kept: str, rng: random.Random
    ) -> Iterator[tuple[str, bytes | None]]:
        for name, number in sorted(self._names(folder, kept, rng).items()):
            if number in self.names:
                yield place + name, None
                yield from self._walk(number, f"{place}{name}/", kept, rng)
            elif number in self.contents or number in self.durable_contents:
                yield place + name, self._content(number, kept, rng)

    def _names(self, folder: int, kept: str, rng: random.Random) -> Names:
        durable, current = self.durable_names.get(folder, {}), self.names.get(folder, {})
        if kept in ("names", KILLED):
            return current
        if kept in ("none", "bytes"):
            return durable
        found = {}
        for name in sorted({*durable, *current}):
            chosen = (durable if rng.random() < 0.5 else current).get(name)
            if chosen is not None:
                found[name] = chosen
        return found

    def _content(self, number: int, kept: str, rng: random.Random) -> bytes:
        durable = self.durable_contents.get(number, b"")
        current = self.contents.get(number, durable)
        if kept in ("names", "none"):
            return durable
        if kept in ("bytes", KILLED):
            return current
        if not current.startswith(durable):
            return rng.choice((durable, current))
        cut = rng.choice((len(durable), len(current), rng.randint(len(durable), len(current))))
        holes = rng.choice((0, len(current) - cut))
        return current[:cut] + bytes(holes)


@dataclass(slots=True)
class Recorder:
    """What happened to a folder. Made by `recording`."""

    root: Path
    moments: list[Moment] = field(default_factory=list)
    marks: list[tuple[int, Any]] = field(default_factory=list)
    fail: Callable[[int, str, str], int] | None = None
    """Asked before each call with its number, name and path: an errno makes it fail, 0 does not."""
    calls: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stamps: dict[int, tuple[int, int]] = field(default_factory=dict)
    _names: dict[int, dict[str, int]] = field(default_factory=dict)
    _durable_names: dict[int, dict[str, int]] = field(default_factory=dict)
    _contents: dict[int, bytes] = field(default_factory=dict)
    _durable_contents: dict[int, bytes] = field(default_factory=dict)
    keep: bool = True

    def mark(self, what: Any) -> None:
        """Note that `what` was promised by now: it holds for every moment after this."""
        with self._lock:
            self.marks.append((len(self.moments), what))

    def promised(self, moment: Moment) -> list[Any]:
        return [what for number, what in self.marks if number <= moment.number]

    def disks(self, *, some: int) -> list[tuple[str, Disk, list[Any]]]:
        """(where, disk, what was promised by then), each disk once, with the most that was promised
        when it could be left behind. `some`: confused disks per moment."""
        kinds = [(kept, 0) for kept in KEPT if kept != "some"] + [("some", n) for n in range(some)]
        found: dict[tuple[tuple[str, bytes | None], ...], tuple[str, Disk, list[Any]]] = {}
        for moment in self.moments:
            for kept, seed in kinds:
                disk = moment.disk(kept, seed)
                where = f"{moment.number} {moment.call}: {kept} {seed}"
                found[tuple(sorted(disk.files.items()))] = where, disk, self.promised(moment)
        return list(found.values())

    def see(self, call: str, synced: int | None) -> None:
        """Look at the folder after a call; `synced`: the file or folder it synced."""
        self._look()
        if synced in self._names:
            self._durable_names[synced] = self._names[synced]
        elif synced in self._contents:
            self._durable_contents[synced] = self._contents[synced]
        self.moments.append(
            Moment(
                len(self.moments),
                call,
                self.root.stat().st_ino,
                dict(self._names),
                dict(self._durable_names),
                dict(self._contents),
                dict(self._durable_contents),
            )
        )

    def _look(self) -> None:
        names: dict[int, dict[str, int]] = {}
        contents: dict[int, bytes] = {}
        stamps: dict[int, tuple[int, int]] = {}

        def walk(folder: str, number: int) -> None:
            here: dict[str, int] = {}
            names[number] = here
            with os.scandir(folder) as entries:
                found = list(entries)
            for entry in found:
                try:
                    stat = entry.stat(follow_symlinks=False)
                    here[entry.name] = stat.st_ino
                    if entry.is_dir(follow_symlinks=False):
                        walk(entry.path, stat.st_ino)
                        continue
                    stamps[stat.st_ino] = (stat.st_mtime_ns, stat.st_size)
                    if self._stamps.get(stat.st_ino) != stamps[stat.st_ino]:
                        with _plain_open(entry.path, "rb") as file:
                            contents[stat.st_ino] = file.read()
                    else:
                        contents[stat.st_ino] = self._contents[stat.st_ino]
                except FileNotFoundError:
                    here.pop(entry.name, None)  # another thread's call

        walk(str(self.root), self.root.stat().st_ino)
        for number in [n for n in self._durable_contents if n not in contents]:
            if not any(number in d.values() for d in self._durable_names.values()):
                del self._durable_contents[number]
        for number in contents.keys() - self._contents.keys():
            # A file that was not there: its number may have belonged to another one before.
            self._durable_contents.pop(number, None)
        for number in names.keys() - self._names.keys():
            self._durable_names.pop(number, None)
        self._names, self._contents, self._stamps = names, contents, stamps


_plain_open = io.open


@contextmanager
def recording(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, keep: bool = True
) -> Iterator[Recorder]:
    """Watch `root`, whose content so far counts as durable, until the block ends. Without `keep`
    calls are counted, and failed where asked, but no moments are kept."""
    recorder = Recorder(root, keep=keep)
    recorder._look()
    recorder._durable_names = {n: dict(names) for n, names in recorder._names.items()}
    recorder._durable_contents = dict(recorder._contents)
    prefix = str(root) + os.sep

    def inside(path: object) -> bool:
        try:
            return os.path.abspath(os.fsdecode(path)).startswith(prefix)  # type: ignore[arg-type]
        except TypeError:
            return False

    def watched(name: str, path: str, run: Callable[[], Any], synced: int | None = None) -> Any:
        with recorder._lock:
            recorder.calls += 1
            code = recorder.fail(recorder.calls, name, path) if recorder.fail else 0
            if code:
                raise OSError(code, os.strerror(code), path)
            done = run()
            if recorder.keep:
                recorder.see(f"{name} {path.removeprefix(prefix)}", synced)
            return done

    def by_path(name: str) -> None:
        real = getattr(os, name)

        def call(path: Any, *args: Any, **options: Any) -> Any:
            touched = [path, *args[:1]] if name in ("rename", "replace", "link") else [path]
            if not any(map(inside, touched)):
                return real(path, *args, **options)
            return watched(name, os.fsdecode(touched[-1]), lambda: real(path, *args, **options))

        patch.setattr(os, name, call)

    def by_handle(name: str) -> None:
        real = getattr(os, name)

        def call(fd: Any, *args: Any) -> Any:
            number = fd if isinstance(fd, int) else fd.fileno()
            try:
                path = os.readlink(f"/proc/self/fd/{number}")
            except OSError:
                path = ""
            if not inside(path + os.sep + "x") or path.endswith(" (deleted)"):
                return real(fd, *args)
            synced = os.fstat(number).st_ino if name in SYNCS else None
            return watched(name, path, lambda: real(fd, *args), synced)

        patch.setattr(os, name, call)

    def os_open(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & (os.O_CREAT | os.O_TRUNC) and inside(path):
            return watched(  # type: ignore[no-any-return]
                "open", os.fsdecode(path), lambda: real_open(path, flags, *args, **options)
            )
        return real_open(path, flags, *args, **options)

    def io_open(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if set(mode) & set("wax+") and inside(file):
            return watched(
                "open", os.fsdecode(file), lambda: _plain_open(file, mode, *args, **options)
            )
        return _plain_open(file, mode, *args, **options)

    real_open = os.open
    with monkeypatch.context() as patch:
        for name in BY_PATH:
            by_path(name)
        for name in BY_HANDLE:
            by_handle(name)
        patch.setattr(os, "open", os_open)
        patch.setattr(io, "open", io_open)
        yield recorder


def failing_at(number: int, code: int = errno.EIO, *, onwards: bool = False) -> Any:
    """For `Recorder.fail`: the call of this number fails, or it and all after it."""
    return lambda call, _name, _path: code if call == number or (onwards and call > number) else 0
