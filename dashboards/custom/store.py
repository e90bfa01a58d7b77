"""Where custom dashboards are kept: every save is a version, and none is ever changed or lost.

Whoever saves says which version they started from; if it is not the newest any more, nothing is
written and they are told who was faster. Deleting keeps everything: the dashboard can come back.
"""

from __future__ import annotations

import json
import re
import secrets
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from dashboards.custom.definition import Dashboard
from dashboards.custom.errors import DashboardConflict, DashboardMissing, DashboardRefused
from dashboards.custom.limits import DEFINITION_BYTES_MAX, VERSIONS_SHOWN
from storage.state import dashboard_marks, dashboard_versions, dashboards


@dataclass(frozen=True, slots=True)
class Entry:
    """A dashboard in a list, as one person sees it. Times: epoch seconds, UTC."""

    id: str
    title: str
    folder: str
    description: str
    version: int
    updated_by: str
    updated_at: float
    favourite: bool
    viewed_at: float | None


@dataclass(frozen=True, slots=True)
class Version:
    """One save. `note` '' = its author said nothing."""

    version: int
    author: str
    note: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Saved:
    """A dashboard as one version of it is."""

    id: str
    version: int
    newest: int
    """The newest version's number; greater than `version` when this is an old one."""
    dashboard: Dashboard
    author: str
    created_at: float


class DashboardStore:
    """Dashboards of one tenant. `state` as from storage.state.open_state; thread-safe."""

    def __init__(
        self,
        state: sa.Engine,
        *,
        tenant: str = "default",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._tenant = tenant
        self._clock = clock

    def all(self, person: str) -> list[Entry]:
        """Every dashboard that is not deleted, by folder and title."""
        mark = dashboard_marks
        mine = sa.and_(
            mark.c.tenant == dashboards.c.tenant,
            mark.c.dashboard == dashboards.c.id,
            mark.c.person == person,
        )
        query = (
            sa.select(dashboards, mark.c.favourite_at, mark.c.viewed_at)
            .select_from(dashboards.outerjoin(mark, mine))
            .where(dashboards.c.tenant == self._tenant, dashboards.c.deleted_at.is_(None))
        )
        with self._state.connect() as connection:
            rows = connection.execute(query).mappings().all()
        entries = [
            Entry(
                id=row["id"],
                title=row["title"],
                folder=row["folder"],
                description=row["description"],
                version=row["version"],
                updated_by=row["updated_by"],
                updated_at=row["updated_at"],
                favourite=row["favourite_at"] is not None,
                viewed_at=row["viewed_at"],
            )
            for row in rows
        ]
        return sorted(entries, key=lambda e: (e.folder.lower(), e.title.lower(), e.id))

    def get(self, dashboard_id: str, version: int | None = None) -> Saved:
        """The newest version, or an older one by number. Raises DashboardMissing."""
        table = dashboard_versions
        with self._state.connect() as connection:
            newest = self._newest(connection, dashboard_id)
            row = connection.execute(
                sa.select(table).where(
                    table.c.tenant == self._tenant,
                    table.c.dashboard == dashboard_id,
                    table.c.version == (newest if version is None else version),
                )
            ).one_or_none()
        if row is None:
            raise DashboardMissing("version")
        return Saved(
            id=dashboard_id,
            version=row.version,
            newest=newest,
            dashboard=Dashboard.model_validate_json(row.definition),
            author=row.author,
            created_at=row.created_at,
        )

    def versions(self, dashboard_id: str) -> list[Version]:
        """Saves, newest first, at most VERSIONS_SHOWN. Raises DashboardMissing."""
        table = dashboard_versions
        query = (
            sa.select(table.c.version, table.c.author, table.c.note, table.c.created_at)
            .where(table.c.tenant == self._tenant, table.c.dashboard == dashboard_id)
            .order_by(table.c.version.desc())
            .limit(VERSIONS_SHOWN)
        )
        with self._state.connect() as connection:
            self._newest(connection, dashboard_id)
            return [Version(*row) for row in connection.execute(query)]

    def create(self, dashboard: Dashboard, *, author: str, note: str = "") -> Saved:
        """A new dashboard under a new id that its title can be told by."""
        now = self._clock()
        dashboard_id = f"{slug(dashboard.title)}-{secrets.token_hex(3)}"
        with self._state.begin() as connection:
            connection.execute(
                dashboards.insert().values(
                    tenant=self._tenant,
                    id=dashboard_id,
                    created_by=author,
                    created_at=now,
                    **_listed(dashboard, 1, author, now),
                )
            )
            self._write(connection, dashboard_id, 1, dashboard, author, note, now)
        return Saved(dashboard_id, 1, 1, dashboard, author, now)

    def save(
        self, dashboard_id: str, dashboard: Dashboard, *, author: str, seen: int, note: str = ""
    ) -> Saved:
        """The next version. `seen`: the version it was made from.

        Raises DashboardConflict when somebody saved since, DashboardMissing when it was deleted.
        """
        now = self._clock()
        with self._state.begin() as connection:
            # The condition on the version decides between two who save at once, in one statement.
            changed = connection.execute(
                dashboards.update()
                .where(
                    *self._is(dashboard_id),
                    dashboards.c.deleted_at.is_(None),
                    dashboards.c.version == seen,
                )
                .values(**_listed(dashboard, seen + 1, author, now))
            )
            if changed.rowcount != 1:
                newest = self._newest(connection, dashboard_id)
                raise DashboardConflict(self._author(connection, dashboard_id, newest), newest)
            self._write(connection, dashboard_id, seen + 1, dashboard, author, note, now)
        return Saved(dashboard_id, seen + 1, seen + 1, dashboard, author, now)

    def restore(self, dashboard_id: str, version: int, *, author: str, seen: int) -> Saved:
        """An old version as the newest one: again a save. Raises as `save` and `get` do."""
        old = self.get(dashboard_id, version)
        note = f"Restored version {version}"
        return self.save(dashboard_id, old.dashboard, author=author, seen=seen, note=note)

    def delete(self, dashboard_id: str) -> None:
        """Out of every list; its versions stay. Raises DashboardMissing."""
        self._set_deleted(dashboard_id, self._clock())

    def undelete(self, dashboard_id: str) -> None:
        """Undo `delete`. Raises DashboardMissing."""
        self._set_deleted(dashboard_id, None)

    def mark_favourite(self, dashboard_id: str, person: str, on: bool) -> None:
        """Raises DashboardMissing."""
        self._mark(dashboard_id, person, favourite_at=self._clock() if on else None)

    def mark_viewed(self, dashboard_id: str, person: str) -> None:
        """Raises DashboardMissing."""
        self._mark(dashboard_id, person, viewed_at=self._clock())

    def _set_deleted(self, dashboard_id: str, at: float | None) -> None:
        was = dashboards.c.deleted_at.is_(None) if at else dashboards.c.deleted_at.is_not(None)
        with self._state.begin() as connection:
            done = connection.execute(
                dashboards.update().where(*self._is(dashboard_id), was).values(deleted_at=at)
            )
            if done.rowcount != 1:
                raise DashboardMissing

    def _mark(self, dashboard_id: str, person: str, **values: float | None) -> None:
        mark = dashboard_marks
        key = {"tenant": self._tenant, "dashboard": dashboard_id, "person": person}
        same = [mark.c[name] == value for name, value in key.items()]
        update = mark.update().where(*same).values(**values)
        try:
            with self._state.begin() as connection:
                self._newest(connection, dashboard_id)
                if not connection.execute(update).rowcount:
                    connection.execute(mark.insert().values(**key, **values))
        except sa.exc.IntegrityError:  # another tab of the same person was quicker
            with self._state.begin() as connection:
                connection.execute(update)

    def _is(self, dashboard_id: str) -> list[sa.ColumnElement[bool]]:
        return [dashboards.c.tenant == self._tenant, dashboards.c.id == dashboard_id]

    def _newest(self, connection: sa.Connection, dashboard_id: str) -> int:
        version: int | None = connection.execute(
            sa.select(dashboards.c.version).where(
                *self._is(dashboard_id), dashboards.c.deleted_at.is_(None)
            )
        ).scalar_one_or_none()
        if version is None:
            raise DashboardMissing
        return version

    def _author(self, connection: sa.Connection, dashboard_id: str, version: int) -> str:
        table = dashboard_versions
        query = sa.select(table.c.author).where(
            table.c.tenant == self._tenant,
            table.c.dashboard == dashboard_id,
            table.c.version == version,
        )
        return str(connection.execute(query).scalar_one())

    def _write(
        self,
        connection: sa.Connection,
        dashboard_id: str,
        version: int,
        dashboard: Dashboard,
        author: str,
        note: str,
        now: float,
    ) -> None:
        text = json.dumps(dashboard.plain(), ensure_ascii=False)
        if len(text.encode()) > DEFINITION_BYTES_MAX:
            raise DashboardRefused(
                f"The dashboard is larger than {DEFINITION_BYTES_MAX:,} bytes; make two of it."
            )
        connection.execute(
            dashboard_versions.insert().values(
                tenant=self._tenant,
                dashboard=dashboard_id,
                version=version,
                definition=text,
                author=author,
                note=" ".join(note.split())[:500],
                created_at=now,
            )
        )


def _listed(dashboard: Dashboard, version: int, author: str, now: float) -> dict[str, object]:
    return {
        "version": version,
        "title": dashboard.title,
        "folder": dashboard.folder,
        "description": dashboard.description,
        "updated_by": author,
        "updated_at": now,
    }


def slug(title: str) -> str:
    """'API product health!' -> 'api-product-health'; a title without letters gives 'dashboard'."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:30].strip("-") or "dashboard"
