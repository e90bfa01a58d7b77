"""From what is stored about a user or token to who is asking."""

from __future__ import annotations

from analytics.scope import owner_scope
from dashboards.identity import HOME_TENANT, Principal
from dashboards.people.sessions import Session
from dashboards.people.tokens import ApiToken
from dashboards.people.users import User
from dashboards.roles import ROLES, Permission
from storage.catalog import Catalog
from storage.row_scope import RowScope

_AT_HOME: frozenset[Permission] = frozenset({"operate", "alerts", "alerts.manage"})
"""About the installation, or rules that are the home tenant's: nobody else's to see."""

OWNER = "owner:"


def principal_of_session(session: Session, catalog: Catalog, address: str) -> Principal:
    user = session.user
    return Principal(
        id=user.id,
        name=user.name,
        kind="user",
        tenant=user.tenant,
        permissions=_permitted(ROLES[user.role].permissions, user.tenant),
        role=user.role,
        scope=scope_of(user, catalog),
        address=address,
        session=session.id,
    )


def principal_of_token(token: ApiToken, catalog: Catalog, address: str) -> Principal:
    rows = token.rows
    if rows is not None and rows.apis:
        rows = RowScope(rows.apis, rows.consumers, _services(rows.apis, catalog, token.tenant))
    return Principal(
        id=token.id,
        name=token.name,
        kind="token",
        tenant=token.tenant,
        permissions=_permitted(token.permissions, token.tenant),
        scope=rows,
        address=address,
    )


def scope_of(user: User, catalog: Catalog) -> RowScope | None:
    """Rows of the tenant a user sees; None = all. Fails closed: no name, no row."""
    rows = ROLES[user.role].rows
    if rows == "tenant" or (rows == "apis" and not user.apis):
        return None
    if rows == "own consumer":
        return RowScope(consumers=user.consumers)
    apis: dict[str, None] = {}
    for name in user.apis:
        if name.startswith(OWNER) and user.tenant == HOME_TENANT:
            apis.update(dict.fromkeys(owner_scope(catalog, name.removeprefix(OWNER)).apis))
        else:
            apis[name] = None
    return RowScope(apis=tuple(apis), services=_services(tuple(apis), catalog, user.tenant))


def _services(apis: tuple[str, ...], catalog: Catalog, tenant: str) -> tuple[str, ...]:
    if tenant != HOME_TENANT:  # the catalog is the home tenant's
        return ()
    found = [api.services for api in catalog.apis if api.name in apis]
    return tuple(dict.fromkeys(name for services in found for name in services))


def _permitted(permissions: frozenset[Permission], tenant: str) -> frozenset[Permission]:
    return permissions if tenant == HOME_TENANT else permissions - _AT_HOME
