"""Limits that keep the number of different names bounded, whatever clients ask for."""

from __future__ import annotations

from dataclasses import dataclass

CHILDREN_MAX = 40
"""Different literals after the same path prefix; beyond it those seldom used become `{id}`."""

PINNED_SHARE = 0.01
"""Share of a prefix's requests that keeps a literal as it is when its prefix overflows."""

PINNED_HITS = 20
"""Requests a literal needs, besides its share, to stay."""

SEGMENTS_MAX = 12
"""Path segments kept in a template; what follows is `{rest}`."""

ROUTES_MAX = 300
"""Automatic routes per API; the ones after that are `__overflow__`."""

NODES_MAX = 50_000
"""Path segments remembered per tenant to find ids among them, about 20 MB. Beyond: new paths teach
nothing."""

APIS_MAX = 200
"""APIs per tenant named after hosts or path segments, which callers choose; the ones after that are
`__overflow__`."""


@dataclass(frozen=True, slots=True)
class NamingLimits:
    """What one tenant may name; both are settings."""

    apis_max: int = 2_000
    """API names from gateways and services that the catalog does not list. Beyond:
    `__overflow__`."""
    routes_max: int = 10_000
    """Routes, sent or made of paths, that the catalog does not list. Beyond: `__overflow__`."""


MEMO_MAX = 100_000
"""Entries of a lookup kept between batches; when full it is emptied and fills anew."""

RECENT_SPANS_MAX = 50_000
"""Spans of gateways, and as many of services, remembered per tenant to find pairs: about 2 MB each.
At more than that within a sender's delay, calls before the first pair may count twice."""

FRONTS_MAX = 1_000
"""Services per tenant known to be behind a gateway, and gateways known; more are not learned."""

TENANTS_MAX = 64
"""Tenants of which is remembered what is behind a gateway; of more, the catalog must say it."""
