"""What one may do with custom dashboards: rights and audit in front of the stores.

The HTTP routes and the screens go through here; the stores below know nothing of people.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict

from dashboards import identity
from dashboards.custom.definition import Dashboard, Panel
from dashboards.custom.errors import DashboardMissing, DashboardRefused
from dashboards.custom.public_link import PublicLink, PublicLinks, Scope
from dashboards.custom.store import DashboardStore, Saved
from dashboards.custom.templates import template
from dashboards.data import Data
from dashboards.people.errors import NoSuchUser
from dashboards.roles import ROLES


class Boards:
    """Made once per process. Blocking: call it off the event loop."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.links = PublicLinks(data.state)
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()

    @property
    def tenant(self) -> str:
        return identity.current().tenant

    @property
    def store(self) -> DashboardStore:
        """Of the tenant of whoever asks."""
        return DashboardStore(self.data.state, tenant=self.tenant)

    def get(self, dashboard_id: str, version: int | None = None) -> Saved:
        """A saved one, or a template (version 0). Raises DashboardMissing."""
        ready = template(dashboard_id)
        if ready is not None:
            return Saved(dashboard_id, 0, 0, ready.dashboard, "Gatelens", 0.0)
        return self.store.get(dashboard_id, version)

    def create(self, dashboard: Dashboard, note: str = "") -> Saved:
        person = identity.require("dashboards.edit")
        _check_sql(dashboard, None, person)
        saved = self.store.create(dashboard, author=person.name, note=note)
        identity.audit(self.data.state, "dashboard.create", saved.id, title=dashboard.title)
        return saved

    def save(self, dashboard_id: str, dashboard: Dashboard, *, seen: int, note: str) -> Saved:
        """Raises DashboardConflict, DashboardMissing, DashboardRefused."""
        person = identity.require("dashboards.edit")
        _check_sql(dashboard, self.store.get(dashboard_id).dashboard, person)
        saved = self.store.save(dashboard_id, dashboard, author=person.name, seen=seen, note=note)
        identity.audit(self.data.state, "dashboard.save", saved.id, version=saved.version)
        return saved

    def restore(self, dashboard_id: str, version: int, *, seen: int) -> Saved:
        person = identity.require("dashboards.edit")
        saved = self.store.restore(dashboard_id, version, author=person.name, seen=seen)
        identity.audit(self.data.state, "dashboard.restore", saved.id, restored=version)
        return saved

    def delete(self, dashboard_id: str) -> None:
        identity.require("dashboards.edit")
        self.store.delete(dashboard_id)
        identity.audit(self.data.state, "dashboard.delete", dashboard_id)

    def undelete(self, dashboard_id: str) -> None:
        identity.require("dashboards.edit")
        self.store.undelete(dashboard_id)
        identity.audit(self.data.state, "dashboard.undelete", dashboard_id)

    def check_asks(self, panel: Panel, dashboard_id: str, version: int | None) -> None:
        """Refuse SQL that nobody saved, of somebody who may not ask SQL: what stands in the saved
        dashboard was allowed to its author. Raises DashboardRefused."""
        if not panel.source.sql:
            return
        with contextlib.suppress(DashboardMissing):
            saved = self.get(dashboard_id, version)
            if any(p.source.sql == panel.source.sql for p in saved.dashboard.panels):
                return
        person = identity.current()
        if not person.may("sql"):
            raise DashboardRefused(
                "This panel asks with SQL that is not saved, and your role may not ask SQL."
            )
        # A preview asks again with every refresh: once in the audit log is enough.
        told = (person.id, hashlib.sha256(panel.source.sql.encode()).hexdigest())
        if told not in self._told:
            identity.audit(self.data.state, "sql.run", "panel preview", sql=panel.source.sql)
            self._told[told] = None
            while len(self._told) > 1_000:
                self._told.popitem(last=False)

    def links_of(self, dashboard_id: str) -> list[PublicLink]:
        identity.require("dashboards.share")
        return self.links.of(dashboard_id, tenant=self.tenant)

    def create_link(
        self, dashboard_id: str, scope: Scope, *, days: float, pinned: bool, note: str
    ) -> tuple[PublicLink, str]:
        person = identity.require("dashboards.share")
        if template(dashboard_id) is not None:
            raise DashboardRefused("Save this dashboard as yours first; then it can be shared.")
        saved = self.store.get(dashboard_id)
        made = self.links.create(
            saved.id,
            scope,
            tenant=self.tenant,
            author=person.name,
            days=days,
            version=saved.version if pinned else None,
            note=note,
        )
        identity.audit(
            self.data.state,
            "dashboard.link.create",
            saved.id,
            link=made[0].id,
            days=days,
            shows=scope.search(),
        )
        return made

    def maker_shares(self, link: PublicLink) -> bool:
        """Whether who made a link may still make one: else it has ended with them, so that nobody
        keeps a door open that they could not open any more. Where nobody signed in when it was
        made, it stays until its own end."""
        people = self.data.sign_in
        if people is None or link.created_by == identity.LOCAL.name:
            return True
        try:
            maker = people.users.within(link.tenant).get(link.created_by)
        except NoSuchUser:
            return False
        may = ROLES[maker.role].permissions
        return maker.disabled_at is None and "dashboards.share" in may

    def revoke_link(self, link_id: str) -> PublicLink:
        identity.require("dashboards.share")
        link = self.links.revoke(link_id, tenant=self.tenant)
        identity.audit(self.data.state, "dashboard.link.revoke", link.dashboard, link=link_id)
        return link

    def find_link(self, token: str) -> tuple[PublicLink, Saved]:
        """What a token shows. Raises DashboardMissing."""
        link = self.links.find(token)
        if not self.maker_shares(link):
            raise DashboardMissing("link")
        store = DashboardStore(self.data.state, tenant=link.tenant)
        return link, store.get(link.dashboard, link.version)


def _check_sql(dashboard: Dashboard, before: Dashboard | None, person: identity.Principal) -> None:
    """Whoever may not ask SQL may keep what is there, and add none."""
    if person.may("sql"):
        return
    known = {p.source.sql for p in before.panels} if before else set()
    for panel in dashboard.panels:
        if panel.source.sql and panel.source.sql not in known:
            raise DashboardRefused(
                f"The panel {panel.title or panel.id!r} asks with SQL, which your role may not."
            )
