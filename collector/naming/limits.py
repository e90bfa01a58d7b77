"""Limits that keep the number of different names bounded, whatever clients ask for."""

from __future__ import annotations

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

APIS_MAX = 200
"""APIs named after hosts, services or path segments; the ones after that are `__overflow__`."""

MEMO_MAX = 100_000
"""Entries of a lookup kept between batches; when full it is emptied and fills anew."""

RECENT_SPANS_MAX = 50_000
"""Spans of gateways, and as many of services, remembered per tenant to find pairs: about 2 MB each.
At more than that within a sender's delay, calls before the first pair may count twice."""

FRONTS_MAX = 1_000
"""Services per tenant known to be behind a gateway, and gateways known; more are not learned."""

TENANTS_MAX = 64
"""Tenants of which is remembered what is behind a gateway; of more, the catalog must say it."""
