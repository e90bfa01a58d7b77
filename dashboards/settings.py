"""What the dashboards need to know. Read by `gatelens/`, handed down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DashboardSettings:
    """Address, defaults of the screens and bounds of the query side. Frozen: made once."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything wider than this machine needs tokens or `--insecure`."""

    port: int = 8050
    """TCP port of the dashboards and of the query API. 0 = any free port."""

    title: str = "Gatelens"
    """Name of the installation, shown top left and in the browser's tab."""

    logo: str = ""
    """File with the installation's logo, SVG or PNG; '' = ours. Used by screens, login, reports."""

    accent_dark: str = ""
    """Colour of links and buttons on dark screens, e.g. #6ba4ff; '' = ours. Must be readable."""

    accent_light: str = ""
    """The same on light screens, e.g. #2463d6."""

    default_range: str = "now-1h"
    """Start of the time range shown when the URL says none, relative to now."""

    default_refresh_s: int = 10
    """Auto-refresh of screens when the URL says none, in seconds. 0 = off."""

    query_threads: int = 4
    """Queries of screens that run at the same time; the others wait in line."""

    cache_entries_max: int = 512
    """Results of screen queries kept in memory, oldest dropped first. 0 = no cache."""

    cache_ttl_s: float = 5.0
    """How long a result whose time range touches now is served again, in seconds."""

    sql_timeout_s: float = 30.0
    """Longest run of one SQL statement; its process is killed after that, in seconds."""

    sql_rows_max: int = 10_000
    """Rows one SQL answer may have; the answer says when it was cut."""

    allowed_hosts: str = ""
    """Host names accepted in the Host header besides addresses and localhost, comma separated."""

    sql_enabled: bool = True
    """Whether `POST /api/v1/sql` and the SQL screen answer."""
