"""Read-only links for people without an account: made, found by their token, revoked.

The token is shown once and kept nowhere; the store has its SHA-256 (the token has 192 random bits,
so nothing slower is needed). A link carries everything it may show: tenant, dashboard, version,
range, filters, what its maker may see. Nothing in a request can widen that.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from dashboards.custom.errors import DashboardMissing, DashboardRefused
from dashboards.custom.limits import LINK_DAYS_MAX
from dashboards.view import FILTERS, View
from storage.row_scope import RowScope
from storage.state import dashboard_links, dashboards

_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Scope:
    """What a link shows. `search`: as in the address of a screen."""

    from_text: str
    to_text: str
    filters: Mapping[str, tuple[str, ...]]
    rows: RowScope | None
    """Rows its maker could see when it was made; None = all of the tenant."""

    @classmethod
    def of(cls, view: View, rows: RowScope | None = None) -> Scope:
        return cls(view.from_text, view.to_text, dict(view.filters), rows)

    def search(self) -> str:
        """Query string that gives the same view."""
        pairs: dict[str, list[str]] = {"from": [self.from_text], "to": [self.to_text]}
        pairs |= {name: list(values) for name, values in self.filters.items() if name in FILTERS}
        return "?" + urlencode(pairs, doseq=True)

    def text(self) -> str:
        return json.dumps(
            {
                "from": self.from_text,
                "to": self.to_text,
                "filters": {k: list(v) for k, v in self.filters.items()},
                "rows": None if self.rows is None else asdict(self.rows),
            },
            ensure_ascii=False,
        )

    @classmethod
    def read(cls, text: str) -> Scope:
        raw = json.loads(text)
        filters = {k: tuple(v) for k, v in raw["filters"].items()}
        rows = raw["rows"]
        seen = None if rows is None else RowScope(**{k: tuple(v) for k, v in rows.items()})
        return cls(raw["from"], raw["to"], MappingProxyType(filters), seen)


@dataclass(frozen=True, slots=True)
class PublicLink:
    """One link as its maker sees it in a list; times in epoch seconds. No token: it is unknown."""

    id: str
    tenant: str
    dashboard: str
    version: int | None
    """None = always the newest."""
    scope: Scope
    note: str
    created_by: str
    created_at: float
    expires_at: float
    revoked_at: float | None
    viewed_at: float | None
    views: int


class PublicLinks:
    """All links of an installation: whose tenant counts is in the link. Thread-safe."""

    def __init__(self, state: sa.Engine, *, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock

    def create(
        self,
        dashboard: str,
        scope: Scope,
        *,
        tenant: str,
        author: str,
        days: float,
        version: int | None = None,
        note: str = "",
    ) -> tuple[PublicLink, str]:
        """The link and its token, which nobody can show again. Raises DashboardRefused."""
        if not 0 < days <= LINK_DAYS_MAX:
            raise DashboardRefused(f"A link lives up to {LINK_DAYS_MAX} days; say how many.")
        token = secrets.token_urlsafe(24)
        now = self._clock()
        link = PublicLink(
            id=secrets.token_hex(6),
            tenant=tenant,
            dashboard=dashboard,
            version=version,
            scope=scope,
            note=" ".join(note.split())[:200],
            created_by=author,
            created_at=now,
            expires_at=now + days * _DAY_S,
            revoked_at=None,
            viewed_at=None,
            views=0,
        )
        row = {name: getattr(link, name) for name in PublicLink.__slots__}
        with self._state.begin() as connection:
            connection.execute(
                dashboard_links.insert().values(
                    **(row | {"scope": scope.text()}), token_hash=_hash(token)
                )
            )
        return link, token

    def find(self, token: str) -> PublicLink:
        """The link of a token, counted as seen. Raises DashboardMissing: unknown, expired, revoked
        and belonging to a deleted dashboard are told apart by nobody outside."""
        if not _TOKEN.fullmatch(token):
            raise DashboardMissing("link")
        links, now = dashboard_links, self._clock()
        with self._state.begin() as connection:
            row = connection.execute(
                sa.select(links)
                .join(
                    dashboards,
                    sa.and_(
                        dashboards.c.tenant == links.c.tenant,
                        dashboards.c.id == links.c.dashboard,
                        dashboards.c.deleted_at.is_(None),
                    ),
                )
                .where(
                    links.c.token_hash == _hash(token),
                    links.c.revoked_at.is_(None),
                    links.c.expires_at > now,
                )
            ).one_or_none()
            if row is None:
                raise DashboardMissing("link")
            connection.execute(
                links.update()
                .where(links.c.id == row.id)
                .values(views=links.c.views + 1, viewed_at=now)
            )
        return _link(row)

    def of(self, dashboard: str, *, tenant: str) -> list[PublicLink]:
        """Links of a dashboard, newest first, the dead ones too."""
        links = dashboard_links
        query = (
            sa.select(links)
            .where(links.c.tenant == tenant, links.c.dashboard == dashboard)
            .order_by(links.c.created_at.desc(), links.c.id)
        )
        with self._state.connect() as connection:
            return [_link(row) for row in connection.execute(query)]

    def revoke(self, link_id: str, *, tenant: str) -> PublicLink:
        """From now on it is dead. Raises DashboardMissing when it is none, or dead already."""
        links = dashboard_links
        mine = [links.c.id == link_id, links.c.tenant == tenant]
        with self._state.begin() as connection:
            done = connection.execute(
                links.update()
                .where(*mine, links.c.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )
            if done.rowcount != 1:
                raise DashboardMissing("link")
            return _link(connection.execute(sa.select(links).where(*mine)).one())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _link(row: Any) -> PublicLink:
    values = {name: getattr(row, name) for name in PublicLink.__slots__}
    return PublicLink(**(values | {"scope": Scope.read(row.scope)}))
