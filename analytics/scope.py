"""What is left of the catalog for somebody who may see only some rows (`storage/row_scope.py`).

Rows are narrowed by the session; functions that go through the catalog need it narrowed, too, or
they would name everybody's consumers, or judge an objective by one consumer's calls.
"""

from __future__ import annotations

from storage.catalog import Catalog
from storage.row_scope import RowScope


def narrow_catalog(catalog: Catalog, scope: RowScope | None) -> Catalog:
    """Consumers of the scope and objectives of its APIs. APIs, products and plans stay: they are
    what is on offer. A quota is a consumer's over all APIs, so an API owner sees none."""
    if scope is None:
        return catalog
    return Catalog(
        apis=catalog.apis,
        gateways=catalog.gateways,
        products=catalog.products,
        plans=catalog.plans,
        consumers=tuple(c for c in catalog.consumers if c.name in scope.consumers),
        slos=tuple(s for s in catalog.slos if s.api in scope.apis),
        excluded_endpoints=catalog.excluded_endpoints,
    )


def only_consumer(catalog: Catalog, name: str) -> Catalog:
    """The catalog with one of its consumers; without any when it has none of that name."""
    kept = tuple(c for c in catalog.consumers if c.name == name)
    return Catalog(**{**dict(catalog), "consumers": kept})


def owner_scope(catalog: Catalog, owner: str) -> RowScope:
    """What the owner of APIs may see: their requests, and what their services send."""
    mine = [api for api in catalog.apis if api.owner and api.owner == owner]
    services = dict.fromkeys(name for api in mine for name in api.services)
    return RowScope(apis=tuple(api.name for api in mine), services=tuple(services))
