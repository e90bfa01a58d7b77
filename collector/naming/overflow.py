"""Names beyond a cap: counted, and told to whoever sent them.

Names are made after the answer, so the answer to a tenant's next requests of the format carries the
sentence, for WARN_S after the last name that found no place. Of each tenant and format one sentence
is kept, the newest; a restart forgets them, as it forgets the names.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import structlog

from collector.naming.limits import APIS_MAX, ROUTES_MAX, NamingLimits

log = structlog.get_logger(__name__)

OVERFLOW = "__overflow__"
"""Name of everything beyond a limit of cardinality, and of the API of paths never found."""

WARN_S = 600.0
"""How long senders are told of a name that found no place."""

_SHOWN_CHARS = 80

Reason = Literal["apis", "hosts", "routes", "routes_of_api"]
"""Which cap was met: API names that senders give, those made of hosts and paths, all routes of a
tenant, or those made of one API's paths."""

REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(slots=True)
class _Told:
    sentence: str
    until: float


class Overflows:
    """What found no place, of all tenants. Written by the naming thread, read by the doors."""

    def __init__(
        self, limits: NamingLimits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock`: seconds, for WARN_S."""
        self._limits = limits
        self._clock = clock
        self._told: dict[tuple[str, str], _Told] = {}
        self.requests: dict[Reason, int] = dict.fromkeys(REASONS, 0)
        """Requests that were named OVERFLOW since start, for each reason."""

    def note(self, tenant: str, format: str, reason: Reason, api: str | None, count: int) -> None:
        """`count` requests got no name of their own. `api`: the one that is meant, or its routes;
        it is the tenant's own text and shown to nobody else."""
        self.requests[reason] += count
        key = (tenant, format)
        now = self._clock()
        before = self._told.get(key)  # once: a door may take it away at any moment
        if before is None or before.until < now:
            log.warning("names_overflow", tenant=tenant, format=format, reason=reason)
        self._told[key] = _Told(self._sentence(reason, _shown(api)), now + WARN_S)

    def warning(self, tenant: str, format: str) -> str:
        """What the answer to the tenant's next request says; '' = nothing."""
        if not self._told:
            return ""
        told = self._told.get((tenant, format))
        if told is None:
            return ""
        if told.until < self._clock():
            self._told.pop((tenant, format), None)
            return ""
        return told.sentence

    def _sentence(self, reason: Reason, api: str) -> str:
        what, how = {
            "apis": (
                f"more than {self._limits.apis_max} APIs are named; {api} and later ones are",
                "raise api_names_max or list them in the catalog",
            ),
            "hosts": (
                f"more than {APIS_MAX} APIs would be named after hosts and paths; {api} and later "
                "ones are",
                "list the APIs in the catalog",
            ),
            "routes": (
                f"more than {self._limits.routes_max} routes are named; new ones, of API {api}, "
                "are",
                "raise route_names_max, or send templates as http.route instead of paths",
            ),
            "routes_of_api": (
                f"API {api} has more than {ROUTES_MAX} routes made of paths; new ones are",
                "list its routes in the catalog, or send them as http.route",
            ),
        }[reason]
        return f"Warning, nothing was refused: {what} stored as {OVERFLOW}; {how}."


def _shown(name: str | None) -> str:
    """A name in quotes, one short line whatever it holds."""
    text = name or ""
    short = text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
    return f'"{"".join(c if c.isprintable() else "?" for c in short)}"'
