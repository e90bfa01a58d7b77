"""Connections may not use up the files a process may have open: the log and the lake need some."""

from __future__ import annotations

import resource
from dataclasses import replace

import structlog

from collector.limits import FILES_KEPT
from collector.settings import CollectorSettings

log = structlog.get_logger(__name__)


def within_open_files(settings: CollectorSettings) -> CollectorSettings:
    """Raise this process's limit of open files as far as it may and is needed; settings with as
    many connections as then fit. HTTP and gRPC may each have `connections_max`."""
    wanted = 2 * settings.connections_max + FILES_KEPT
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    elif soft == resource.RLIM_INFINITY or soft >= wanted:
        return settings
    allowed = max(1, (max(soft, limit) - FILES_KEPT) // 2)
    if allowed >= settings.connections_max:
        return settings
    log.warning("connections_limited_by_open_files", connections_max=allowed, open_files_max=hard)
    return replace(settings, connections_max=allowed)
