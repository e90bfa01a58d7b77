"""Two tenants with people of every role, served in this process without a socket."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from argon2 import PasswordHasher

from dashboards.data import Data
from dashboards.people.passwords import Passwords
from dashboards.people.sign_in import SignIn
from dashboards.people.users import place
from dashboards.serving.dispatcher import Dispatcher
from dashboards.serving.server import create_server
from dashboards.settings import DashboardSettings
from storage.audit import Actor
from storage.lake import Lake
from storage.settings import StorageSettings
from tests.dashboards.known import Call, requests_table, utc_now

PASSWORD = "correct horse battery"
HERE = "http://127.0.0.1"
CHEAP = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
BY = Actor("test", "cli")

MINE, OTHERS, FOREIGN = "mine", "others-kept-apart", "foreign-kept-apart"
"""Words in every name of: the scoped people's own rows; other rows of their tenant; the other
tenant's rows."""

CATALOG = f"""
apis:
  - {{name: {MINE}-api, owner: {MINE}-team, services: [{MINE}-svc], product: shop}}
  - {{name: {OTHERS}-api, services: [{OTHERS}-svc], product: shop}}
products: [{{name: shop}}]
plans: [{{name: starter, quota_per_day: 100, price_per_month: 5}}]
consumers:
  - {{name: {MINE}-app, plan: starter}}
  - {{name: {OTHERS}-app, plan: starter}}
slos: [{{name: {OTHERS}-slo, api: {OTHERS}-api, objective: 0.9}}]
"""

PEOPLE: dict[str, tuple[str, dict[str, Any]]] = {
    "admin": ("admin", {}),
    "operator": ("operator", {}),
    "owner": ("api_owner", {"apis": [f"{MINE}-api"]}),
    "team": ("api_owner", {"apis": [f"owner:{MINE}-team"]}),
    "developer": ("api_developer", {}),
    "analyst": ("analyst", {}),
    "viewer": ("viewer", {}),
    "app": ("app_developer", {"consumers": [f"{MINE}-app"]}),
    "neighbour": ("admin", {"tenant": "neighbour"}),
}


@dataclass
class Town:
    data: Data
    sign_in: SignIn
    server: Dispatcher
    cookies: dict[str, str] = field(default_factory=dict)

    def client(self, name: str | None = None, **headers: str) -> httpx.AsyncClient:
        """A browser of that person, signed in; None = nobody."""
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.server, raise_app_exceptions=False),
            base_url=HERE,
            headers={"origin": HERE, **headers},
        )
        if name is not None:
            if name not in self.cookies:
                self.cookies[name] = self.sign_in.sessions.start(
                    self.sign_in.users.get(name), "127.0.0.1"
                )
            client.cookies.set("gatelens_session", self.cookies[name])
        return client


def build(folder: Path, clock: Callable[[], float] | None = None, **settings: Any) -> Town:
    (folder / "catalog.yaml").write_text(CATALOG)
    storage = StorageSettings(data_dir=folder)
    write(storage)
    data = Data(
        dataclasses.replace(DashboardSettings(port=0), **settings), storage, folder / "catalog.yaml"
    )
    more: dict[str, Any] = {} if clock is None else {"clock": clock}
    sign_in = SignIn(data.state, data.settings, data.whole_catalog, passwords=CHEAP, **more)
    town = Town(data, sign_in, create_server(data, sign_in))
    for name, (role, given) in PEOPLE.items():
        sign_in.users.add(name, place(role, **given), actor=BY, password=PASSWORD)
    sign_in.forget()
    return town


def write(storage: StorageSettings) -> None:
    """A minute of calls, a span, a log record and a metric of each group of names."""
    now = utc_now()
    lake = Lake(storage)
    calls = {word: _calls(word, now) for word in (MINE, OTHERS, FOREIGN)}
    home = requests_table([*calls[MINE], *calls[OTHERS]])
    foreign = requests_table(calls[FOREIGN])
    at = foreign.schema.get_field_index("tenant")
    foreign = foreign.set_column(at, "tenant", pa.array(["neighbour"] * foreign.num_rows))
    lake.table("requests").append(home, app_id="home", app_version=1)
    lake.table("requests").append(foreign, app_id="foreign", app_version=1)
    # As old as the calls: a range that ends now ends at its last whole step.
    start = now.replace(microsecond=0) - timedelta(seconds=90)
    for word, tenant in ((MINE, "default"), (OTHERS, "default"), (FOREIGN, "neighbour")):
        common = {
            "time": pa.array([start], pa.timestamp("us", tz="UTC")),
            "tenant": [tenant],
            "service_name": [f"{word}-svc"],
        }
        span = {
            **common,
            "start_time_unix_nano": pa.array([int(start.timestamp() * 1e9)], pa.int64()),
            "duration_ns": pa.array([5_000_000], pa.int64()),
            "trace_id": [_trace_id(word)],
            "span_id": ["1" * 16],
            "name": [f"{word}-span"],
            "kind": ["SERVER"],
            "status": ["ERROR"],
        }
        log = {**common, "body": [f"{word}-log"], "severity_number": pa.array([17], pa.int8())}
        metric = {
            **common,
            "name": [f"{word}-metric"],
            "type": ["gauge"],
            "value": [1.0],
            "series": pa.array([1], pa.uint64()),
        }
        for table, row in (("spans", span), ("logs", log), ("metrics", metric)):
            lake.table(table).append(pa.table(row), app_id=f"{table}-{word}", app_version=1)


def _trace_id(word: str) -> str:
    return word.encode().hex()[:32].ljust(32, "0")


def trace_id(word: str) -> str:
    """Id of the one trace of those names."""
    return _trace_id(word)


def _calls(word: str, now: Any) -> list[Call]:
    return [
        Call(
            time=now - timedelta(seconds=90 + n),
            api=f"{word}-api",
            route=f"/{word}/{{id}}",
            consumer=f"{word}-app",
            status_code=503 if n % 5 == 0 else 404 if n % 7 == 0 else 200,
            duration_ms=10.0 + n,
            upstream_ms=5.0,
        )
        for n in range(40)
    ]
