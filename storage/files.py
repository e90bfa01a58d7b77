"""Durable files on a local folder: what is named is whole, and survives a power cut."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def fsync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


fsync_folder = fsync_file
"""A folder is synced like a file: makes new names in it survive a power cut."""


def make_folder(folder: Path) -> None:
    """Create it where it is missing, with those above it; its name survives a power cut. Always
    syncs the folder above: it may be new from a run that was cut short."""
    missing = [place for place in folder.parents if not place.is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    fsync_folder(folder.parent)
    for made in missing:
        with suppress(PermissionError):  # a folder may be written to and still not be opened
            fsync_folder(made.parent)


def link_once(temporary: Path, target: Path) -> bool:
    """Give a written file its final name; False when the name is already taken."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    return True


def replace_durably(path: Path, data: bytes) -> None:
    """Write or replace a file whole; readers see the old one or the new one."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        write_durably(temporary, data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(path.parent)
