"""Fill in the names of `requests`: the gateway said > the catalog knows > derived.

    api          said by the gateway (canonised: catalog name, gateway id or service) >
                 catalog by host and path > catalog by service > service name, or the gateway's
                 id for it > host unless it is an address > first path segment that is neither
                 a version nor `api`; NULL without any of them
    api_version  said > version segment of the path (/v2/…)
    route        said > routes of the catalog's API > template by looks and cardinality
    consumer     said (name, basic-auth user, client id) or by credential, looked up in the catalog;
                 then group, plan and the plan's product; product falls back to the API's
    outcome      said > from the status code (`outcome.py`)
    client_kind  from the user agent (`clients.py`)
    country      said > registration of the client's address (`countries.py`)

Uncatalogued names come from requests that were answered: a host or first segment that only ever
got 404 is `__overflow__`, its route `__unmatched__` (the path stays in `path`).

`apply` works once per different value, not per row, and twice is the same as once. The uncatalogued
names are bounded for each tenant (`limits.py`), and of what finds no place senders are told
(`overflow.py`); the lock makes one Naming safe to share between threads.
"""

from __future__ import annotations

import ipaddress
import re
import threading

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.naming.catalog_routes import CatalogRoutes
from collector.naming.clients import client_kind
from collector.naming.counting import CountRules
from collector.naming.countries import fill_countries
from collector.naming.fronts import Fronts
from collector.naming.known_names import KnownNames
from collector.naming.limits import MEMO_MAX, NamingLimits
from collector.naming.outcome import outcomes
from collector.naming.overflow import OVERFLOW, Overflows, Reason
from collector.naming.routes import UNMATCHED
from collector.naming.templates import PARAMETER, template_paths
from collector.naming.twins import Twins
from collector.naming.unique import (
    Memo,
    coalesce,
    coded,
    coded_by,
    combinations,
    filled,
    map_coded,
)
from storage.catalog import Api, Catalog
from storage.coded import plain, schema_of

GATEWAY_API_ID = "apigw.api.id"
"""Attribute with the gateway's own id of the API, tried in the catalog besides its name."""

_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY")
)
OTHER_METHOD = "_OTHER"
"""Any method that HTTP does not define, as in OpenTelemetry's `http.request.method`."""


class Naming:
    """Names by one catalog. A changed catalog is a new Naming."""

    def __init__(
        self,
        catalog: Catalog,
        fronts: Fronts | None = None,
        twins: Twins | None = None,
        limits: NamingLimits | None = None,
    ) -> None:
        """What is known of services behind gateways, and of gateways whose log and spans tell the
        same; None = nothing yet. `limits`: None = the defaults."""
        self._catalog = catalog
        self._lock = threading.Lock()
        prefixes = [p for api in catalog.apis for p in api.path_prefixes]
        self._depth = max([len([s for s in p.split("/") if s]) for p in prefixes] or [0])
        self._catalog_routes = {
            api.name: CatalogRoutes(api.routes, api.path_prefixes) for api in catalog.apis
        }
        self._limits = limits or NamingLimits()
        self._tenants: dict[str, KnownNames] = {}
        self._apis: dict[tuple[str | None, ...], Api | None] = {}
        self._kinds = Memo(client_kind)
        self._methods = Memo(_method)
        self.counting = CountRules(catalog)
        """Which of several records of a call is its row."""
        self.fronts = fronts or Fronts()
        """The same, of spans of which no rule says it."""
        self.twins = twins or Twins()
        """The same, of a gateway's log records that do not name its spans."""
        self.overflows = Overflows(self._limits)
        """What found no place."""

    def is_consumer(self, name: str) -> bool:
        """Whether the catalog lists a consumer under the name."""
        return self._catalog.consumer(name=name) is not None

    def apply(
        self, requests: pa.RecordBatch, *, service: pa.Array | None = None, format: str = ""
    ) -> pa.RecordBatch:
        """The rows with names filled in, as codes. `service`: service.name per row, where known.
        `format`: whose senders are told of names beyond a cap. Text of the rows may be coded."""
        rows = requests.num_rows
        if rows == 0:
            return requests
        columns = {name: requests.column(name) for name in requests.schema.names}
        if service is None:
            service = pa.nulls(rows, pa.string())
        with self._lock:
            self._name(columns, service, format)
        arrays = [columns[name] for name in requests.schema.names]
        return pa.RecordBatch.from_arrays(arrays, schema=schema_of(requests.schema, arrays))

    def _name(self, columns: dict[str, pa.Array], service: pa.Array, format: str) -> None:
        columns["method"] = map_coded(coded(columns["method"]), self._methods)
        tenants = coded(columns["tenant"])
        templates = template_paths(columns["path"])
        answered = _answered(columns["status_code"])
        found = self._name_apis(columns, tenants, service, templates, answered, format)
        self._name_routes(columns, tenants, templates, answered, format)
        columns["api_version"] = coalesce(columns["api_version"], map_coded(templates, _version))
        self._name_consumers(columns, found)
        columns["outcome"] = coalesce(
            columns["outcome"], outcomes(columns["status_code"], columns["response_flags"])
        )
        kinds = filled(map_coded(coded(columns["user_agent"]), self._kinds), "unknown")
        columns["client_kind"] = coalesce(columns["client_kind"], kinds)
        columns["country"] = fill_countries(columns["country"], columns["client_address"])

    def _name_apis(
        self,
        columns: dict[str, pa.Array],
        tenants: pa.DictionaryArray,
        service: pa.Array,
        templates: pa.DictionaryArray,
        answered: npt.NDArray[np.bool_],
        format: str,
    ) -> pa.Array:
        """Sets `api`; answers the product of each row's API."""
        gateway_id = _attribute(columns["attributes"], GATEWAY_API_ID)
        if self._depth:
            head = pc.struct_field(
                pc.extract_regex(
                    plain(columns["path"]), rf"^(?P<head>(?:/[^/]*){{0,{self._depth}}})"
                ),
                "head",
            )
        else:
            head = pa.nulls(len(service), pa.string())
        segment = map_coded(templates, _first_word)
        keys = [tenants, columns["api"], gateway_id, columns["host"], head, service,
                segment]  # fmt: skip
        distinct, inverse = combinations(keys)
        rows = np.bincount(inverse, minlength=len(distinct))
        heard = np.bincount(inverse, weights=answered, minlength=len(distinct)) > 0
        names: list[str | None] = []
        products: list[str | None] = []
        for i, (tenant, said, id_, host, path, name, word) in enumerate(distinct):
            api = self._catalogued(said, id_, host, path, name)
            products.append(api.product if api else None)
            if api is not None:
                names.append(api.name)
                continue
            known = self._known(tenant)
            given: str | None = None
            why: Reason | None = None
            if called := said or name or id_:
                given, why = known.said_api(called)
            elif called := _host_name(host) or word:
                given, why = known.derived_api(called, bool(heard[i]))
            names.append(given)
            if why:
                self.overflows.note(tenant, format, why, called, int(rows[i]))
        index = pa.array(inverse)
        columns["api"] = coded_by(names, index)
        return coded_by(products, index)

    def _catalogued(
        self,
        said: str | None,
        id_: str | None,
        host: str | None,
        path: str | None,
        name: str | None,
    ) -> Api | None:
        key = (said, id_, host, path, name)
        if key in self._apis:
            return self._apis[key]
        catalog = self._catalog
        api = catalog.api(said) if said else None
        for gateway_id in (said, id_):
            if api is None and gateway_id:
                api = catalog.match_api(None, None, gateway_id, gateway_id)
        if api is None and not said:
            api = catalog.match_api(host, path, name, None)
        if len(self._apis) >= MEMO_MAX:
            self._apis.clear()
        self._apis[key] = api
        return api

    def _name_routes(
        self,
        columns: dict[str, pa.Array],
        tenants: pa.DictionaryArray,
        templates: pa.DictionaryArray,
        answered: npt.NDArray[np.bool_],
        format: str,
    ) -> None:
        keys = [tenants, columns["api"], templates, columns["route"]]
        distinct, inverse = combinations(keys)
        rows = np.bincount(inverse, minlength=len(distinct))
        hits = np.bincount(inverse, weights=answered, minlength=len(distinct))
        routes: list[str | None] = []
        todo: list[int] = []
        for i, (tenant, api, template, said) in enumerate(distinct):
            catalogued = self._catalog_routes.get(api) if api else None
            route = said
            why: Reason | None = None
            if said is not None:
                listed = catalogued is not None and catalogued.match(said) is not None
                if not listed and said not in (OVERFLOW, UNMATCHED):
                    route, why = self._known(tenant).said_route(api, said)
            elif template is not None and catalogued and not catalogued.empty:
                route = catalogued.match(template)
            routes.append(route)
            if why:
                self.overflows.note(tenant, format, why, api, int(rows[i]))
            if route is None and template is not None:
                todo.append(i)
                if hits[i]:
                    self._known(tenant).learn(api, template, int(hits[i]))
        for i in todo:
            tenant, api, template, _ = distinct[i]
            if api == OVERFLOW:
                routes[i] = UNMATCHED if not hits[i] else OVERFLOW
                continue
            routes[i], why = self._known(tenant).route(api, template, bool(hits[i]))
            if why:
                self.overflows.note(tenant, format, why, api, int(rows[i]))
        columns["route"] = coded_by(routes, pa.array(inverse))

    def _known(self, tenant: str) -> KnownNames:
        """Tenants come from the tokens' file, so there are few."""
        known = self._tenants.get(tenant)
        if known is None:
            known = self._tenants[tenant] = KnownNames(self._limits)
        return known

    def _name_consumers(self, columns: dict[str, pa.Array], api_product: pa.Array) -> None:
        keys = [columns["consumer"], columns["credential"]]
        distinct, inverse = combinations(keys)
        names: dict[str, list[str | None]] = {
            "consumer": [], "consumer_group": [], "plan": [], "product": [],
        }  # fmt: skip
        for said, credential in distinct:
            consumer = self._catalog.consumer(
                name=said, key_hash=credential, user=said, client_id=said
            )
            plan = self._catalog.plan(consumer.plan) if consumer else None
            names["consumer"].append(consumer.name if consumer else said)
            names["consumer_group"].append(consumer.group if consumer else None)
            names["plan"].append(consumer.plan if consumer else None)
            names["product"].append(plan.product if plan else None)
        index = pa.array(inverse)
        found = {name: coded_by(values, index) for name, values in names.items()}
        columns["consumer"] = found["consumer"]
        for name in ("consumer_group", "plan"):
            columns[name] = coalesce(columns[name], found[name])
        columns["product"] = coalesce(columns["product"], found["product"], api_product)


def _answered(status: pa.Array) -> npt.NDArray[np.bool_]:
    """Whether the path exists as far as the answer tells: not 404 or 405, and somebody answered."""
    codes = status.fill_null(200).to_numpy(zero_copy_only=False)
    return ~np.isin(codes, (0, 400, 404, 405))


def _attribute(attributes: pa.Array, key: str) -> pa.Array:
    if attributes.null_count == len(attributes):
        return pa.nulls(len(attributes), pa.string())
    return pc.map_lookup(attributes, key, "first")


_VERSION = re.compile(r"v\d+(\.\d+)*$")


_PATH_VERSION = re.compile(r"/(?:api/)?(v[0-9]+(?:\.[0-9]+)*)(?:/|\Z)")


def _version(template: str) -> str | None:
    """`v2` of `/v2/…` and `/api/v2/…`."""
    found = _PATH_VERSION.match(template)
    return found[1] if found else None


def _first_word(template: str) -> str | None:
    """First segment that says something; `/` for the root itself."""
    for segment in template.split("/")[1:]:
        if segment and segment != PARAMETER and segment != "api" and not _VERSION.match(segment):
            return segment
    return "/"


def _host_name(host: str | None) -> str | None:
    """The host without port; None where it is an address or this machine, which names no API."""
    if not host:
        return None
    name = host if host.count(":") > 1 else host.partition(":")[0]
    name = name.strip("[]").lower()
    if not name or name == "localhost" or not re.fullmatch(r"[a-z0-9._-]+", name):
        return None
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name
    return None


def _method(method: str) -> str:
    upper = method.upper()
    return upper if upper in _METHODS else OTHER_METHOD
