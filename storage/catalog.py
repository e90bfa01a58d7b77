"""The catalog: what the organisation has. Read from catalog.yaml, frozen, with quick look-ups.

An empty catalog is fine: requests then keep the names their gateways gave them and show up as
uncatalogued. Unknown keys are errors, with the nearest known key as a hint.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from storage.errors import CatalogError

_STATUS_CODE = re.compile(r"[1-5]xx|[0-9]{3}", re.ASCII)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


Names = Annotated[tuple[str, ...], AfterValidator(_distinct)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectedError(_Entry):
    """Answers of an API that are by design, not failures: 404 of a look-up, 503 while closed."""

    status_codes: tuple[str, ...] = Field(min_length=1)
    """'404', or a class such as '5xx'."""
    route: str | None = None
    """Route template, or a prefix when it ends with `*`; None = every route."""
    method: str | None = None

    @model_validator(mode="after")
    def _codes_are_codes(self) -> ExpectedError:
        for code in self.status_codes:
            if not _STATUS_CODE.fullmatch(code):
                raise ValueError(f"{code!r} is not a status code; use 404 or 5xx")
        return self


class Api(_Entry):
    """One API and how its requests are recognised: any of hosts, path_prefixes, services and
    gateway_ids that are given; hosts and path_prefixes together must both match."""

    name: str = Field(min_length=1)
    title: str = ""
    description: str = ""
    owner: str = ""
    """Team that owns it."""
    versions: Names = ()
    hosts: Names = ()
    """Host names, without port; `*.example.com` covers every host below it."""
    path_prefixes: Names = ()
    """`/orders` covers /orders and /orders/..., not /orders2."""
    services: Names = ()
    """service.name values of the services behind it."""
    gateway_ids: Names = ()
    """Ids or names the gateways use for it (service, API id, ...)."""
    routes: Names = ()
    """Route templates, `/orders/{id}`; read from the OpenAPI file too, where given."""
    openapi: str = ""
    """OpenAPI file, relative to the catalog."""
    product: str | None = None
    apdex_threshold_ms: float = Field(default=500.0, gt=0)
    behind_gateway: bool | None = None
    """Whether a gateway reports its calls: true, its services' own server spans are not requests;
    false, they are. Not said: learned from the spans."""
    expected_errors: tuple[ExpectedError, ...] = ()
    """Answers that do not count as errors, in the past either."""
    tags: Mapping[str, str] = Field(default_factory=dict)


class Gateway(_Entry):
    """A gateway and which of what it sends is counted. Recognised by any of services and kinds."""

    name: str = Field(min_length=1)
    services: Names = ()
    """service.name values it sends OTLP under."""
    kinds: Names = ()
    """Values of `requests.gateway` (traefik, kong, nginx, ...): every gateway of that kind, and
    access logs, which carry no service.name."""
    count: Literal["auto", "spans", "access_log", "none"] = "auto"
    """The source its calls are counted from. auto: both, but never a log record whose span is
    known to be recorded. none: an outer gateway reports them."""
    in_front_of: Names = ()
    """Services (service.name, `*` = all) whose own server spans are not requests: this gateway
    reports their calls. Of services it does not name this is learned from the spans."""
    direction: Literal["any", "inbound", "outbound"] = "any"
    """Of a mesh whose both proxies log a call: the side that counts."""


class Product(_Entry):
    name: str = Field(min_length=1)
    title: str = ""
    description: str = ""
    owner: str = ""


class PriceTier(_Entry):
    """One step of a tiered price. `up_to`: last request of the month in it; None = the rest."""

    up_to: int | None = Field(default=None, gt=0)
    price_per_call: Decimal = Field(ge=0)
    flat: Decimal = Field(default=Decimal(0), ge=0)
    """Charged once when the step is reached."""


class Plan(_Entry):
    """What a consumer may use and what it costs. None = not limited, not charged."""

    name: str = Field(min_length=1)
    product: str | None = None
    title: str = ""
    price_per_month: float | None = Field(default=None, ge=0)
    price_per_call: float | None = Field(default=None, ge=0)
    currency: str = "EUR"
    quota_per_month: int | None = Field(default=None, ge=0)
    quota_per_week: int | None = Field(default=None, ge=0)
    quota_per_day: int | None = Field(default=None, ge=0)
    rate_limit_per_minute: int | None = Field(default=None, ge=0)
    rate_limit_per_second: int | None = Field(default=None, ge=0)
    free_calls_per_month: int = Field(default=0, ge=0)
    """The first calls of a month cost nothing, whatever is charged beyond."""
    price_per_overage_call: Decimal | None = Field(default=None, ge=0)
    """Of every call over quota_per_month."""
    tiers: tuple[PriceTier, ...] = ()
    """Steps in growing order; instead of price_per_call."""
    tier_mode: Literal["graduated", "volume"] = "graduated"
    """graduated: each call costs what its step says. volume: all cost what the last step says."""
    month_anchor_day: int = Field(default=1, ge=1, le=31)
    """Day of the month its monthly window begins; the last day where a month is shorter."""

    @model_validator(mode="after")
    def _tiers_grow(self) -> Plan:
        if self.tiers and self.price_per_call is not None:
            raise ValueError("a plan has price_per_call or tiers, not both")
        bounds = [tier.up_to for tier in self.tiers]
        if any(bound is None for bound in bounds[:-1]) or (bounds and bounds[-1] is not None):
            raise ValueError("every tier but the last has up_to, and the last has none")
        known = [bound for bound in bounds if bound is not None]
        if known != sorted(set(known)):
            raise ValueError("tiers must be in growing order of up_to")
        return self


class Consumer(_Entry):
    """A consumer application and what identifies it."""

    name: str = Field(min_length=1)
    title: str = ""
    group: str | None = None
    plan: str | None = None
    """Name of a plan."""
    key_hashes: Names = ()
    """Keyed hashes of its credentials, as `requests.credential` holds them; never keys."""
    users: Names = ()
    """Basic-auth user names."""
    client_ids: Names = ()
    """OAuth client ids, JWT subjects, gateway consumer ids."""
    networks: Names = ()
    """Address ranges it calls from; used where nothing else names it."""
    attributes: Mapping[str, str] = Field(default_factory=dict)
    month_anchor_day: int | None = Field(default=None, ge=1, le=31)
    """Overrides its plan's: the day its subscription renews."""

    @model_validator(mode="after")
    def _networks_are_ranges(self) -> Consumer:
        for network in self.networks:
            ipaddress.ip_network(network)
        return self


class Slo(_Entry):
    """A target over a rolling window. `objective` is the share of good requests, 0 to 1."""

    name: str = Field(min_length=1)
    api: str
    kind: Literal["availability", "latency"] = "availability"
    objective: float = Field(gt=0, lt=1)
    threshold_ms: float | None = Field(default=None, gt=0)
    window_days: int = Field(default=30, ge=1, le=366)
    routes: Names = ()

    @model_validator(mode="after")
    def _latency_needs_a_threshold(self) -> Slo:
        if self.kind == "latency" and self.threshold_ms is None:
            raise ValueError("a latency SLO needs threshold_ms")
        return self


class ExcludedEndpoint(_Entry):
    """Requests that are not API use: health checks, metrics scrapes, monitors. None = any."""

    api: str | None = None
    path: str = "*"
    """Exact path, or a prefix when it ends with `*`. What is stored is asked by its route."""
    method: str | None = None
    client_kind: str | None = None
    """`monitor`, `bot`, ...; latency is then told from raw requests, since its rollups do not keep
    the kind of client."""

    @model_validator(mode="after")
    def _names_something(self) -> ExcludedEndpoint:
        if self.path == "*" and self.api is None and self.client_kind is None:
            raise ValueError("this would exclude every request; give a path, an api or client_kind")
        return self

    def covers(
        self,
        api: str | None,
        path: str | None,
        method: str | None,
        client_kind: str | None = None,
    ) -> bool:
        if path is None or (self.api is not None and self.api != api):
            return False
        if self.method is not None and self.method.upper() != (method or "").upper():
            return False
        if self.client_kind is not None and self.client_kind != client_kind:
            return False
        return path.startswith(self.path[:-1]) if self.path.endswith("*") else path == self.path


class Catalog(BaseModel):
    """Everything in catalog.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    apis: tuple[Api, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    products: tuple[Product, ...] = ()
    plans: tuple[Plan, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    slos: tuple[Slo, ...] = ()
    excluded_endpoints: tuple[ExcludedEndpoint, ...] = ()

    @model_validator(mode="after")
    def _references_hold(self) -> Catalog:
        for kind in ("apis", "gateways", "products", "plans", "consumers", "slos"):
            _refuse_duplicates(kind, (e.name for e in getattr(self, kind)))
        apis, plans = {a.name for a in self.apis}, {p.name for p in self.plans}
        products = {p.name for p in self.products}
        for api in self.apis:
            _require(api.product, products, f"product of API {api.name!r}")
        for plan in self.plans:
            _require(plan.product, products, f"product of plan {plan.name!r}")
        for consumer in self.consumers:
            _require(consumer.plan, plans, f"plan of consumer {consumer.name!r}")
        for slo in self.slos:
            _require(slo.api, apis, f"api of SLO {slo.name!r}")
        return self

    def match_api(
        self,
        host: str | None = None,
        path: str | None = None,
        service: str | None = None,
        gateway_id: str | None = None,
    ) -> Api | None:
        """The API of a request; None = uncatalogued.

        What the gateway says comes first, then host and path (the longest prefix wins, an exact
        host before a wildcard), then the service.
        """
        if gateway_id is not None and gateway_id in self._by_gateway_id:
            return self._by_gateway_id[gateway_id]
        found = self._match_address(host, path)
        if found is None and service is not None:
            found = self._by_service.get(service)
        return found

    def _match_address(self, host: str | None, path: str | None) -> Api | None:
        name = (host or "").rsplit(":", 1)[0].lower() if host else ""
        for rule_host, prefix, api in self._address_rules:
            if rule_host and not _host_matches(rule_host, name):
                continue
            if prefix and not _path_matches(prefix, path or ""):
                continue
            return api
        return None

    def consumer(
        self,
        *,
        name: str | None = None,
        key_hash: str | None = None,
        user: str | None = None,
        client_id: str | None = None,
    ) -> Consumer | None:
        """The consumer one of these identifies; key before client id, user and name."""
        for given, index in (
            (key_hash, self._by_key_hash),
            (client_id, self._by_client_id),
            (user, self._by_user),
            (name, self._by_consumer_name),
        ):
            if given is not None and given in index:
                return index[given]
        return None

    def api(self, name: str) -> Api | None:
        return self._by_api_name.get(name)

    def plan(self, name: str | None) -> Plan | None:
        return None if name is None else self._by_plan_name.get(name)

    def product(self, name: str | None) -> Product | None:
        return next((p for p in self.products if p.name == name), None)

    def excluded(
        self,
        api: str | None,
        path: str | None,
        method: str | None,
        client_kind: str | None = None,
    ) -> bool:
        """Whether a request is a health check or the like."""
        return any(e.covers(api, path, method, client_kind) for e in self.excluded_endpoints)

    @cached_property
    def _by_gateway_id(self) -> dict[str, Api]:
        return {g: a for a in reversed(self.apis) for g in a.gateway_ids}

    @cached_property
    def _by_service(self) -> dict[str, Api]:
        return {s: a for a in reversed(self.apis) for s in a.services}

    @cached_property
    def _by_api_name(self) -> dict[str, Api]:
        return {a.name: a for a in self.apis}

    @cached_property
    def _by_plan_name(self) -> dict[str, Plan]:
        return {p.name: p for p in self.plans}

    @cached_property
    def _by_consumer_name(self) -> dict[str, Consumer]:
        return {c.name: c for c in self.consumers}

    @cached_property
    def _by_key_hash(self) -> dict[str, Consumer]:
        return {k: c for c in self.consumers for k in c.key_hashes}

    @cached_property
    def _by_user(self) -> dict[str, Consumer]:
        return {u: c for c in self.consumers for u in c.users}

    @cached_property
    def _by_client_id(self) -> dict[str, Consumer]:
        return {i: c for c in self.consumers for i in c.client_ids}

    @cached_property
    def _address_rules(self) -> list[tuple[str, str, Api]]:
        """(host or '', prefix or '', API), the most specific first."""
        rules = [
            (host.lower(), prefix.rstrip("/"), api)
            for api in self.apis
            if api.hosts or api.path_prefixes
            for host in api.hosts or ("",)
            for prefix in api.path_prefixes or ("",)
        ]
        rules.sort(key=lambda r: (bool(r[0]), not r[0].startswith("*"), len(r[1])), reverse=True)
        return rules


def load_catalog(path: Path | None) -> Catalog:
    """The catalog of a file; None or a missing file = an empty catalog.

    Raises CatalogError naming the file and the field, with a hint for a misspelt key.
    """
    if path is None or not path.exists():
        return Catalog()
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        catalog = Catalog.model_validate(raw if raw is not None else {})
        return _with_openapi_routes(catalog, path.parent)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as err:
        raise CatalogError(f"{path}: {err}") from err
    except ValidationError as err:
        raise CatalogError(f"{path}: {_explain(err)}") from err


_OpenApiMethods = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})


def _with_openapi_routes(catalog: Catalog, folder: Path) -> Catalog:
    """Adds the paths of the APIs' OpenAPI files to their routes."""
    if not any(a.openapi for a in catalog.apis):
        return catalog
    apis = []
    for api in catalog.apis:
        if api.openapi:
            document = yaml.safe_load((folder / api.openapi).read_text(encoding="utf-8"))
            paths = document.get("paths", {}) if isinstance(document, dict) else {}
            found = tuple(
                p for p, item in paths.items() if isinstance(item, dict) and _has_method(item)
            )
            api = api.model_copy(update={"routes": _distinct((*api.routes, *found))})
        apis.append(api)
    return catalog.model_copy(update={"apis": tuple(apis)})


def _has_method(item: Mapping[str, object]) -> bool:
    return any(str(key).lower() in _OpenApiMethods for key in item)


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(p) for p in first["loc"]) or "catalog"
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(first["loc"][-1]), _known_keys(), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{where} is not a known key{hint}"
    return f"{where}: {first['msg']}"


def _known_keys() -> list[str]:
    models = (
        Catalog,
        Api,
        ExpectedError,
        Product,
        Plan,
        PriceTier,
        Consumer,
        Slo,
        ExcludedEndpoint,
    )
    return sorted({name for model in models for name in model.model_fields})


def _refuse_duplicates(kind: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{kind}: {name!r} is there twice")
        seen.add(name)


def _require(name: str | None, known: set[str], what: str) -> None:
    # Names of things the catalog does not list at all are allowed: a catalog may grow in steps.
    if name is not None and known and name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{what}: {name!r} is not in the catalog{hint}")


def _host_matches(rule: str, host: str) -> bool:
    return host.endswith(rule[1:]) if rule.startswith("*.") else host == rule


def _path_matches(prefix: str, path: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")
