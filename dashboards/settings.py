"""What the dashboards need to know. Read by `gatelens/`, handed down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


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

    warm_hours: int = 24
    """Screens of the last so many hours are kept ready in the background, so that a first visit
    does not wait for the lake. 0 = they are not."""

    sql_timeout_s: float = 30.0
    """Longest run of one SQL statement; its process is killed after that, in seconds."""

    sql_rows_max: int = 10_000
    """Rows one SQL answer may have; the answer says when it was cut."""

    allowed_hosts: str = ""
    """Host names accepted in the Host header besides addresses and localhost, comma separated."""

    sql_enabled: bool = True
    """Whether `POST /api/v1/sql` and the SQL screen answer."""

    login: Literal["auto", "on"] = "auto"
    """auto: people log in as soon as there is a user (or single sign-on). on: always; the first
    admin is made with a link that `gatelens up` prints."""

    session_idle_minutes: int = 720
    """A login ends when nothing was asked for so long."""

    session_hours_max: int = 168
    """A login ends after this, whatever happens."""

    public_url: str = ""
    """Address people use, e.g. https://gatelens.example.com; '' = as they call it. With https,
    cookies are only sent over TLS. Single sign-on comes back to `<public_url>/auth/callback`."""

    trusted_proxies: str = ""
    """Addresses of proxies in front whose X-Forwarded-For and -Proto are believed, comma separated;
    '' = none."""

    audit_days: int = 400
    """How long the audit log is kept, in days. 0 = for ever."""

    oidc_issuer: str = ""
    """Issuer of the OpenID Connect provider, as its tokens say it; '' = no single sign-on."""

    oidc_client_id: str = ""
    """Client id we have there."""

    oidc_client_secret_file: Path | None = None
    """File with the client secret; none = a public client (PKCE alone)."""

    oidc_scopes: str = "openid email profile"
    """Scopes asked for."""

    oidc_name_claim: str = "email"
    """Claim that becomes the user name."""

    oidc_role_claim: str = "groups"
    """Claim (text or list) that decides the role."""

    oidc_roles: tuple[tuple[str, str], ...] = ()
    """(value of the role claim, role) pairs; the first that fits counts."""

    oidc_default_role: str = ""
    """Role of those with no value above; '' = they may not come in."""

    oidc_tenant_claim: str = ""
    """Claim that names the tenant; '' = everybody is of `default`."""

    oidc_apis_claim: str = ""
    """Claim with the APIs an API owner owns (`owner:<team>` = the team's in the catalog)."""

    oidc_consumers_claim: str = ""
    """Claim with the applications (consumers) of an app developer."""
