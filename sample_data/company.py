"""Waypost, the fictional logistics platform: its plans, consumers, clients and operations.

`build_company(seed)` is pure: the same seed gives the same company. Hosts end in `.example`
(RFC 2606) and addresses come from ranges that are never routed (RFC 2544, RFC 5737), so nothing
here points at anyone.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from sample_data.apis import API_HOST, APIS, Api, GatewayKind

Region = Literal["americas", "europe", "apac"]
REGIONS: tuple[Region, ...] = ("americas", "europe", "apac")

CONSUMERS = 300
ZIPF_EXPONENT = 1.2
"""Use of the n-th consumer is proportional to n^-1.2: the first makes a quarter of all calls."""

ADDRESSES_PER_CONSUMER = 8
INCIDENT_API = "payments"
NOISY_RANK, QUOTA_RANK = 70, 240
"""Ranks of the consumer that retries in storms (starter) and of the one that runs out (free)."""

DEFAULT_SEED = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What a consumer may do. None = no limit."""

    name: str
    title: str
    price_per_month: float
    quota_per_month: int | None
    rate_limit_per_minute: int | None


PLANS: tuple[Plan, ...] = (
    Plan("free", "Free", 0.0, 50_000, 60),
    Plan("starter", "Starter", 49.0, 500_000, 300),
    Plan("growth", "Growth", 499.0, 10_000_000, 3_000),
    Plan("enterprise", "Enterprise", 4_900.0, None, None),
)

PRODUCTS: tuple[tuple[str, str], ...] = (
    ("shipping", "Shipping"),
    ("payments", "Payments"),
    ("trade", "Trade and warehousing"),
    ("platform", "Platform"),
    ("legacy", "Legacy EDI"),
)


@dataclass(frozen=True, slots=True)
class Agent:
    """A user agent and what kind of client it is."""

    text: str
    kind: Literal["browser", "mobile", "sdk", "cli", "bot", "monitor", "unknown"]


AGENTS: tuple[Agent, ...] = (
    Agent("waypost-python/2.8.1 (python 3.13.1; linux)", "sdk"),
    Agent("waypost-node/4.2.0 (node 24.3.0)", "sdk"),
    Agent("waypost-java/3.1.4 (jdk 25)", "sdk"),
    Agent("python-requests/2.34.2", "sdk"),
    Agent("Go-http-client/2.0", "sdk"),
    Agent("axios/1.11.0", "sdk"),
    Agent("WaypostDriver/7.14.0 (Android 16; okhttp/4.12.0)", "mobile"),
    Agent("WaypostDriver/7.14.0 (iPhone; iOS 26.1; CFNetwork/3860)", "mobile"),
    Agent(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/142.0.0.0 Safari/537.36",
        "browser",
    ),
    Agent(
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/26.1 Safari/605.1.15",
        "browser",
    ),
    Agent("curl/8.16.0", "cli"),
    Agent("PostmanRuntime/7.49.1", "cli"),
    Agent("Waypost-Synthetics/1.4 (uptime check)", "monitor"),
    Agent("Mozilla/5.0 zgrab/0.x", "bot"),
)
MONITOR_AGENT = next(i for i, agent in enumerate(AGENTS) if agent.kind == "monitor")
SCANNER_AGENT = next(i for i, agent in enumerate(AGENTS) if agent.kind == "bot")

_COUNTRIES: dict[Region, tuple[str, ...]] = {
    "americas": ("US", "US", "US", "CA", "BR", "MX"),
    "europe": ("DE", "GB", "FR", "NL", "PL", "ES", "SE"),
    "apac": ("IN", "JP", "AU", "SG"),
}
_BRANDS = (
    "alder", "brightloom", "cobalt", "driftwood", "emberly", "fernhill",
    "gladewell", "harborline", "inkstone", "juniper", "kestrel", "larkfield",
    "mossgate", "northfield", "oakbridge", "pinecrest", "quillon", "rivermark",
    "saltbox", "thornbury", "umberline", "violetbay", "wrenfield", "yarrow",
    "zephyria", "bluefinch", "copperleaf", "dovetail", "elmsworth", "foxglove",
)  # fmt: skip
_APPS = (
    ("checkout", "retailers", "sdk"), ("storefront", "retailers", "browser"),
    ("returns", "retailers", "sdk"), ("marketplace", "marketplaces", "sdk"),
    ("seller-hub", "marketplaces", "browser"), ("dispatch", "carriers", "mobile"),
    ("fleet", "carriers", "mobile"), ("erp-sync", "enterprises", "sdk"),
    ("warehouse", "enterprises", "sdk"), ("sandbox", "developers", "cli"),
)  # fmt: skip
_GROUP_PRODUCTS: dict[str, tuple[str, ...]] = {
    "retailers": ("shipping", "payments", "platform"),
    "marketplaces": ("shipping", "payments", "trade", "platform"),
    "carriers": ("shipping", "platform"),
    "enterprises": ("shipping", "trade", "payments", "legacy", "platform"),
    "developers": ("shipping", "payments", "trade", "platform"),
}


@dataclass(frozen=True, slots=True)
class Consumer:
    """An application that calls the company's APIs."""

    rank: int
    """1 = the heaviest."""
    name: str
    group: str
    plan: Plan
    products: tuple[str, ...]
    region: Region
    country: str
    agents: tuple[int, ...]
    """Indexes into AGENTS."""
    user: str
    """Basic-auth name at the legacy gateway."""

    @property
    def credential(self) -> str:
        """Hash that stands for its key in telemetry; there is no key behind it."""
        return hashlib.blake2b(f"waypost:{self.name}".encode(), digest_size=16).hexdigest()

    @property
    def weight(self) -> float:
        return float(self.rank**-ZIPF_EXPONENT)


OperationKind = Literal["call", "health", "probe"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One (API, version, route, method) as a gateway sees it; probes of scanners have no API."""

    kind: OperationKind
    api: Api | None
    version: str | None
    method: str
    template: str | None
    """Full template with version prefix; None = no route matches."""
    path_head: str
    path_tail: str
    """A path is head + id + tail; without an id it is head alone."""
    has_id: bool
    gateway: GatewayKind
    host: str
    ok_status: int
    weight: float
    upstream_ms: float
    gateway_ms: float
    spread: float
    error_share: float
    request_bytes: int
    response_bytes: int


@dataclass(frozen=True, slots=True)
class Address:
    """A client's address and the country it is registered in."""

    text: str
    country: str


@dataclass(frozen=True, slots=True, eq=False)  # by identity: it is the key of caches
class Company:
    """Everything the traffic is drawn from. Tuples are indexed by the columns of `Requests`."""

    seed: int
    apis: tuple[Api, ...]
    plans: tuple[Plan, ...]
    consumers: tuple[Consumer, ...]
    operations: tuple[Operation, ...]
    addresses: tuple[Address, ...]
    """ADDRESSES_PER_CONSUMER for each consumer in order, then the scanner's and the monitor's."""

    @property
    def noisy(self) -> int:
        """Index of the consumer that retries in storms."""
        return NOISY_RANK - 1

    @property
    def almost_out(self) -> int:
        """Index of the consumer that is about to exhaust its monthly quota."""
        return QUOTA_RANK - 1

    @property
    def scanner_address(self) -> int:
        return len(self.addresses) - 2

    @property
    def monitor_address(self) -> int:
        return len(self.addresses) - 1


@lru_cache(maxsize=4)
def build_company(seed: int = DEFAULT_SEED) -> Company:
    """The company of a seed. Cached; the value is immutable."""
    rng = random.Random(seed)
    consumers = tuple(_consumers(rng))
    return Company(
        seed=seed,
        apis=APIS,
        plans=PLANS,
        consumers=consumers,
        operations=tuple(_operations()),
        addresses=tuple(_addresses(rng, consumers)),
    )


def _plan_of(rank: int) -> Plan:
    # Heavy users pay: the ranks are cut so that nobody outgrows a quota at 40 calls a second.
    free, starter, growth, enterprise = PLANS
    if rank <= 6:
        return enterprise
    if rank <= 45:
        return growth
    return starter if rank <= 200 else free


def _consumers(rng: random.Random) -> list[Consumer]:
    names = [(brand, app) for brand in _BRANDS for app in _APPS]
    rng.shuffle(names)
    consumers = []
    for rank, (brand, (app, group, client)) in enumerate(names[:CONSUMERS], start=1):
        region = rng.choices(REGIONS, weights=(45, 38, 17))[0]
        fitting = [i for i, agent in enumerate(AGENTS) if agent.kind == client]
        if rank == NOISY_RANK:
            group, fitting = "retailers", [3]
        consumers.append(
            Consumer(
                rank=rank,
                name=f"{brand}-{app}",
                group=group,
                plan=_plan_of(rank),
                products=_GROUP_PRODUCTS[group],
                region=region,
                country=rng.choice(_COUNTRIES[region]),
                agents=tuple(rng.sample(fitting, k=min(2, len(fitting)))),
                user=f"{brand}-{app}",
            )
        )
    return consumers


def _addresses(rng: random.Random, consumers: tuple[Consumer, ...]) -> list[Address]:
    numbers = rng.sample(range(1, 2**17 - 1), k=len(consumers) * ADDRESSES_PER_CONSUMER)
    addresses = []
    for position, number in enumerate(numbers):
        consumer = consumers[position // ADDRESSES_PER_CONSUMER]
        abroad = rng.random() < 0.12
        country = rng.choice(_COUNTRIES[consumer.region]) if abroad else consumer.country
        text = f"198.{18 + (number >> 16)}.{(number >> 8) & 255}.{number & 255}"
        addresses.append(Address(text, country))
    return [*addresses, Address("203.0.113.66", "RO"), Address("192.0.2.10", "DE")]


def _operations() -> list[Operation]:
    operations = []
    for api in APIS:
        total = sum(route.weight for route in api.routes)
        for version, share in api.versions:
            for route in api.routes:
                template = f"/{version}{api.prefix}{route.template}"
                head, has_id, tail = _split_template(template)
                operations.append(
                    Operation(
                        kind="call",
                        api=api,
                        version=version,
                        method=route.method,
                        template=template,
                        path_head=head,
                        path_tail=tail,
                        has_id=has_id,
                        gateway=api.gateway,
                        host=api.host,
                        ok_status=route.ok_status,
                        weight=api.weight * share * route.weight / total,
                        upstream_ms=api.upstream_ms
                        * route.slowness
                        * (1.3 if version == "v1" else 1),
                        gateway_ms=api.gateway_ms,
                        spread=api.spread,
                        error_share=api.error_share,
                        request_bytes=route.request_bytes,
                        response_bytes=route.response_bytes,
                    )
                )
    return operations + [_health(api) for api in APIS] + [_probe(*probe) for probe in _PROBES]


def _split_template(template: str) -> tuple[str, bool, str]:
    """`/v1/a/{x}/b/{y}` -> ('/v1/a/', True, '/b/1'): one id varies, further ones are constant."""
    if "{" not in template:
        return template, False, ""
    head, rest = template.split("{", 1)
    tail = rest.split("}", 1)[1]
    while "{" in tail:
        before, after = tail.split("{", 1)
        tail = before + "48213" + after.split("}", 1)[1]
    return head, True, tail


def _health(api: Api) -> Operation:
    path = f"/{api.versions[-1][0]}{api.prefix}/healthz"
    return Operation(
        "health", api, api.versions[-1][0], "GET", path, path, "", False, api.gateway, api.host,
        200, 0.0, 1.2, api.gateway_ms, 0.2, 0.0, 260, 190,
    )  # fmt: skip


_PROBES = (
    ("/.env", "GET"), ("/.git/config", "GET"), ("/wp-admin/setup-config.php", "GET"),
    ("/wp-login.php", "POST"), ("/phpmyadmin/index.php", "GET"), ("/actuator/env", "GET"),
    ("/v1/admin/users", "GET"), ("/v2/internal/keys", "GET"), ("/server-status", "GET"),
    ("/cgi-bin/luci", "POST"), ("/.aws/credentials", "GET"), ("/backup.zip", "GET"),
)  # fmt: skip


def _probe(path: str, method: str) -> Operation:
    return Operation(
        "probe", None, None, method, None, path, "", False, "kong", API_HOST,
        404, 0.0, 0.0, 0.9, 0.3, 0.0, 240, 330,
    )  # fmt: skip
