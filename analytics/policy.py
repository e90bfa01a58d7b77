"""The catalog's policy in questions: endpoints that are not API use, answers that are no failures.

Applied when a question is asked, not when rows are rolled up: changing the catalog changes the past
as well, at once, and no rollup has to be made anew. It is cheap and exact because every rollup
keeps what a rule may name (api, route, method; usage keeps status_code and client_kind, too).

An excluded endpoint's `path` is compared with the row's route, on every tier alike: a health check
has no ids in its path, so route and path are the same. A row without a route is never excluded by a
path. Completeness always counts everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from analytics.filters import status_range
from storage.catalog import Catalog, ExcludedEndpoint, ExpectedError


@dataclass(slots=True)
class Params:
    """Values of a query by name; `add` returns the placeholder."""

    values: dict[str, object] = field(default_factory=dict)

    def add(self, value: object) -> str:
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"${name}"


@dataclass(frozen=True, slots=True)
class Policy:
    """Which requests count as use of an API, and which answers as errors."""

    excluded: tuple[ExcludedEndpoint, ...] = ()
    expected: tuple[tuple[str, ExpectedError], ...] = ()
    """(API, rule)."""

    @classmethod
    def of(cls, catalog: Catalog) -> Policy:
        expected = tuple((api.name, rule) for api in catalog.apis for rule in api.expected_errors)
        return cls(catalog.excluded_endpoints, expected)

    @property
    def dimensions(self) -> set[str]:
        """What the rules about excluded endpoints name."""
        named: set[str] = set()
        for rule in self.excluded:
            named |= {"api"} if rule.api is not None else set()
            named |= {"route"} if rule.path != "*" else set()
            named |= {"method"} if rule.method is not None else set()
            named |= {"client_kind"} if rule.client_kind is not None else set()
        return named

    @property
    def failure_dimensions(self) -> set[str]:
        """What the rules about expected errors name."""
        named: set[str] = {"api", "status_code"} if self.expected else set()
        for _, rule in self.expected:
            named |= {"route"} if (rule.route or "*") != "*" else set()
            named |= {"method"} if rule.method is not None else set()
        return named

    def excluded_sql(self, params: Params) -> str | None:
        """Condition that is TRUE for excluded rows, else FALSE; None = nothing is excluded."""
        return _any([_excluded(rule, params) for rule in self.excluded])

    def expected_sql(self, params: Params) -> str | None:
        """Condition that is TRUE for expected answers, else FALSE; None = none are."""
        return _any([_expected(api, rule, params) for api, rule in self.expected])


NO_POLICY = Policy()
"""Every request counts, every failure is an error."""


def _excluded(rule: ExcludedEndpoint, params: Params) -> str:
    parts = [*_equals("api", rule.api, params), *_path(rule.path, params)]
    parts += _equals("client_kind", rule.client_kind, params)
    return _all([*parts, *_method(rule.method, params)])


def _expected(api: str, rule: ExpectedError, params: Params) -> str:
    spans = [status_range(code) for code in rule.status_codes]
    codes = " OR ".join(
        f"status_code BETWEEN {params.add(low)} AND {params.add(high)}" for low, high in spans
    )
    parts = [*_equals("api", api, params), f"({codes})", *_path(rule.route or "*", params)]
    return _all([*parts, *_method(rule.method, params)])


def _path(path: str, params: Params) -> list[str]:
    if path == "*":
        return []
    if path.endswith("*"):
        return [f"starts_with(route, {params.add(path[:-1])})"]
    return _equals("route", path, params)


def _method(method: str | None, params: Params) -> list[str]:
    return [] if method is None else [f"upper(method) = {params.add(method.upper())}"]


def _equals(column: str, value: str | None, params: Params) -> list[str]:
    return [] if value is None else [f"{column} = {params.add(value)}"]


def _all(parts: Sequence[str]) -> str:
    # a NULL dimension makes the comparison NULL: such a row is not meant
    return f"COALESCE({' AND '.join(parts)}, FALSE)"


def _any(options: Sequence[str]) -> str | None:
    return f"({' OR '.join(options)})" if options else None
