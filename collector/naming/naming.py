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
names are bounded (`limits.py`); the lock makes one Naming safe to share between threads.
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
from collector.naming.limits import APIS_MAX, MEMO_MAX
from collector.naming.outcome import outcomes
from collector.naming.routes import OVERFLOW, UNMATCHED, RouteTree
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
        self, catalog: Catalog, fronts: Fronts | None = None, twins: Twins | None = None
    ) -> None:
        """What is known of services behind gateways, and of gateways whose log and spans tell the
        same; None = nothing yet."""
        self._catalog = catalog
        self._lock = threading.Lock()
        prefixes = [p for api in catalog.apis for p in api.path_prefixes]
        self._depth = max([len([s for s in p.split("/") if s]) for p in prefixes] or [0])
        self._catalog_routes = {
            api.name: CatalogRoutes(api.routes, api.path_prefixes) for api in catalog.apis
        }
        self._trees: dict[str | None, RouteTree] = {}
        self._derived_apis: set[str] = set()
        self._apis: dict[tuple[str | None, ...], Api | None] = {}
        self._kinds = Memo(client_kind)
        self._methods = Memo(_method)
        self.counting = CountRules(catalog)
        """Which of several records of a call is its row."""
        self.fronts = fronts or Fronts()
        """The same, of spans of which no rule says it."""
        self.twins = twins or Twins()
        """The same, of a gateway's log records that do not name its spans."""

    def is_consumer(self, name: str) -> bool:
        """Whether the catalog lists a consumer under the name."""
        return self._catalog.consumer(name=name) is not None

    def apply(self, requests: pa.RecordBatch, *, service: pa.Array | None = None) -> pa.RecordBatch:
        """The rows with names filled in, as codes. `service`: service.name per row, where known.
        Text of the rows may be coded."""
        rows = requests.num_rows
        if rows == 0:
            return requests
        columns = {name: requests.column(name) for name in requests.schema.names}
        if service is None:
            service = pa.nulls(rows, pa.string())
        with self._lock:
            self._name(columns, service)
        arrays = [columns[name] for name in requests.schema.names]
        return pa.RecordBatch.from_arrays(arrays, schema=schema_of(requests.schema, arrays))

    def _name(self, columns: dict[str, pa.Array], service: pa.Array) -> None:
        columns["method"] = map_coded(coded(columns["method"]), self._methods)
        templates = template_paths(columns["path"])
        answered = _answered(columns["status_code"])
        found = self._name_apis(columns, service, templates, answered)
        self._name_routes(columns, templates, answered)
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
        service: pa.Array,
        templates: pa.DictionaryArray,
        answered: npt.NDArray[np.bool_],
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
        keys = [columns["api"], gateway_id, columns["host"], head, service, segment]
        distinct, inverse = combinations(keys)
        heard = np.zeros(len(distinct), dtype=np.bool_)
        np.logical_or.at(heard, inverse, answered)
        names: list[str | None] = []
        products: list[str | None] = []
        for (said, id_, host, path, name, word), known in zip(distinct, heard, strict=True):
            api = self._catalogued(said, id_, host, path, name)
            products.append(api.product if api else None)
            if api is not None:
                names.append(api.name)
            else:
                names.append(said or self._derived(name or id_, host, word, bool(known)))
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

    def _derived(
        self, service: str | None, host: str | None, word: str | None, answered: bool
    ) -> str | None:
        if service:
            return service
        name = _host_name(host) or word
        if name is None or name in self._derived_apis:
            return name
        if not answered or len(self._derived_apis) >= APIS_MAX:
            return OVERFLOW
        self._derived_apis.add(name)
        return name

    def _name_routes(
        self,
        columns: dict[str, pa.Array],
        templates: pa.DictionaryArray,
        answered: npt.NDArray[np.bool_],
    ) -> None:
        distinct, inverse = combinations([columns["api"], templates, columns["route"]])
        hits = np.bincount(inverse, weights=answered, minlength=len(distinct))
        routes: list[str | None] = []
        todo: list[int] = []
        for i, (api, template, said) in enumerate(distinct):
            catalogued = self._catalog_routes.get(api) if api else None
            route = said
            if route is None and template is not None and catalogued and not catalogued.empty:
                route = catalogued.match(template)
            routes.append(route)
            if route is None and template is not None:
                todo.append(i)
                if hits[i]:
                    self._tree(api).learn(template, int(hits[i]))
        for i in todo:
            api, template, _ = distinct[i]
            if api == OVERFLOW:
                routes[i] = UNMATCHED if not hits[i] else OVERFLOW
            else:
                routes[i] = self._tree(api).route(template, bool(hits[i]))
        columns["route"] = coded_by(routes, pa.array(inverse))

    def _tree(self, api: str | None) -> RouteTree:
        return self._trees.setdefault(api, RouteTree())

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
