"""The receivers by format name and by path. To add one: write its file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from collector.payload import Format
from collector.receivers.api import NativeApi
from collector.receivers.loki import LokiApi

_APIS: tuple[NativeApi, ...] = (LokiApi(),)

RECEIVER_FORMATS: Mapping[str, Format] = MappingProxyType({a.format.name: a.format for a in _APIS})


def find_api(path: str) -> NativeApi | None:
    """The endpoint that takes a path, None if there is none."""
    return next((api for api in _APIS if api.takes(path)), None)
