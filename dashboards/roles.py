"""What each role may do. The one table; docs/people.md is made from it.

`PERMISSIONS` says what may be asked for, `ROLES` who may, `PAGES` and `API` what each screen and
address asks for. An address or screen that is in neither is refused to everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Permission = Literal[
    "read", "telemetry", "sql", "alerts", "alerts.manage", "dashboards.edit", "dashboards.share",
    "reports.edit", "export", "operate", "admin", "own",
]  # fmt: skip

Role = Literal[
    "admin", "operator", "api_owner", "api_developer", "analyst", "viewer", "app_developer"
]

Rows = Literal["tenant", "apis", "own apis", "own consumer"]
"""Rows a role sees: all of its tenant; the same unless narrowed to some APIs; only those of the
APIs it owns; only its own applications'."""

PERMISSIONS: Final[Mapping[Permission, str]] = MappingProxyType(
    {
        "read": "usage, latency, errors, consumers, plans, single requests",
        "telemetry": "traces, logs, metrics, services",
        "sql": "ask with SQL",
        "alerts": "see alerts, their history and objectives",
        "alerts.manage": "acknowledge, silence, on-call, maintenance, rules",
        "dashboards.edit": "make and change custom dashboards",
        "dashboards.share": "make public read-only links",
        "reports.edit": "schedule reports",
        "export": "download what is shown",
        "operate": "intake, jobs, the lake, retention",
        "admin": "users, API tokens, the audit log",
        "own": "how one's own application is doing",
    }
)


@dataclass(frozen=True, slots=True)
class RoleSpec:
    title: str
    about: str
    rows: Rows
    permissions: frozenset[Permission]


def _may(*names: Permission) -> frozenset[Permission]:
    return frozenset(names)


_LOOK = _may("read", "alerts", "export")
_WORK = _LOOK | _may("telemetry", "dashboards.edit", "reports.edit")

ROLES: Final[Mapping[Role, RoleSpec]] = MappingProxyType(
    {
        "admin": RoleSpec(
            "Admin",
            "Runs the installation and says who may do what.",
            "tenant",
            frozenset(PERMISSIONS) - _may("own"),
        ),
        "operator": RoleSpec(
            "Operator",
            "On call: alerts, silences, rules, intake and jobs.",
            "tenant",
            _WORK | _may("sql", "alerts.manage", "dashboards.share", "operate"),
        ),
        "api_owner": RoleSpec(
            "API owner",
            "Who uses my APIs, how much, is it growing?",
            "own apis",
            _WORK,
        ),
        "api_developer": RoleSpec(
            "API developer",
            "Where is it slow, what fails, since which version?",
            "apis",
            _WORK,
        ),
        "analyst": RoleSpec(
            "Analyst",
            "Asks anything, with SQL.",
            "tenant",
            _WORK | _may("sql", "dashboards.share"),
        ),
        "viewer": RoleSpec("Viewer", "Looks, changes nothing.", "apis", _LOOK),
        "app_developer": RoleSpec(
            "App developer",
            "How is my application doing against its quota, why do its calls fail?",
            "own consumer",
            _may("own", "export"),
        ),
    }
)

PAGES: Final[Mapping[str, Permission]] = MappingProxyType(
    {
        "": "read",
        "dashboards": "read",
        "apis": "read",
        "consumers": "read",
        "products": "read",
        "reports": "read",
        "requests": "read",
        "traces": "telemetry",
        "services": "telemetry",
        "explorer": "telemetry",
        "logs": "telemetry",
        "sql": "sql",
        "alerts": "alerts",
        "operate": "operate",
        "admin": "admin",
        "me": "own",
    }
)
"""First part of a screen's path -> what its callbacks and its layout ask for."""

_OWN: tuple[Permission, ...] = ("read", "own")
"""What an app developer may ask, too: of its own rows, as everywhere."""

API: Final[Mapping[str, tuple[Permission, ...]]] = MappingProxyType(
    {
        "/api/docs": (),
        "/api/openapi.json": (),
        "/api/v1/me": (),
        "/api/v1/sql": ("sql",),
        "/api/v1/statements": ("sql",),
        "/api/v1/analytics": ("read",),
        "/api/v1/analytics/overview": _OWN,
        "/api/v1/analytics/usage": _OWN,
        "/api/v1/analytics/errors": _OWN,
        "/api/v1/analytics/latency": _OWN,
        "/api/v1/analytics/breakdown": _OWN,
        "/api/v1/analytics/measures": _OWN,
        "/api/v1/analytics/completeness": _OWN,
        "/api/v1/analytics/seen": _OWN,
        "/api/v1/analytics/quota": _OWN,
        "/api/v1/analytics/reports/schedules": ("reports.edit",),
        "/api/v1/analytics/reports/deliveries": ("reports.edit",),
        "/api/v1/analytics/traces": ("telemetry",),
        "/api/v1/analytics/service-edges": ("telemetry",),
        "/api/v1/analytics/exceptions": ("telemetry",),
        "/api/v1/analytics/attributes": ("telemetry",),
        "/api/v1/analytics/metrics": ("telemetry",),
        "/api/v1/analytics/logs": ("telemetry",),
        "/api/v1/analytics/health": ("telemetry",),
        "/api/v1/analytics/uptime": ("telemetry",),
        "/api/v1/audit": ("admin",),
        "/api/v1/dashboards": ("read",),
        "/api/v1/dashboard-links": ("dashboards.share",),
    }
)
"""Beginning of a path -> what it asks for (one of them; none = whoever is known); the longest
beginning counts."""

TOKEN_SCOPES: Final[Mapping[str, frozenset[Permission]]] = MappingProxyType(
    {
        "analytics": _may("read", "export"),
        "telemetry": _may("telemetry", "export"),
        "sql": _may("sql", "export"),
        "alerts": _may("alerts"),
        "admin": _may("admin"),
    }
)
"""What an API token of the query side may be given."""


def api_permissions(path: str) -> tuple[Permission, ...] | None:
    """What an address under /api asks for; None = it is in no line of the table: nobody may."""
    found: str | None = None
    for prefix in API:
        below = path == prefix or path.startswith(f"{prefix}/")
        if below and (found is None or len(prefix) > len(found)):
            found = prefix
    return None if found is None else API[found]
