"""What is known of people and secrets in a row, cut down to what the tenant's policy keeps.

Applied to rows after they were named and before they are written, so that countries, consumers and
routes are right whatever is kept:

    client addresses   keep; truncate (IPv4 to /24, IPv6 to /48); hash (keyed); drop
    user names         keep; hash; drop. Of `requests.consumer` only names the catalog does not
                       list: those it lists are applications
    query parameters   values of these names become REDACTED in URLs and log bodies (`requests`
                       never holds a query)
    credentials        values of authorization, cookie and API-key headers always become REDACTED

`rejects` hold records as they came, secrets removed: where addresses are not kept they are masked
there too, where user names are not kept the record is dropped. What somebody writes into a path, a
span's name or a log's text is not looked for.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from collector.gateways.attributes import Keys
from collector.naming.unique import Memo, map_unique
from collector.privacy import hash_credential
from collector.privacy_maps import replace_items
from collector.privacy_scan import Bools, with_parameters, with_secrets
from collector.settings import (
    QUERY_PARAMETERS,
    AddressPolicy,
    CollectorSettings,
    UserPolicy,
)
from storage.coded import concat_coded, set_column

REDACTED = "REDACTED"

_ADDRESSES = Keys([
    "client.address", "http.client_ip", "network.peer.address", "net.sock.peer.addr", "net.peer.ip",
    "peer.address", "source.address", "client_ip", "remote_addr", "remote_ip", "ClientHost",
    "ClientAddr", "downstream_remote_address", "http.request.header.x-forwarded-for",
    "http.request.header.x-real-ip", "x_forwarded_for", "x-forwarded-for",
])  # fmt: skip
_USERS = Keys([
    "enduser.id", "enduser.pseudo.id", "user.id", "user.name", "user.email", "user.full_name",
    "user.hash", "remote_user", "ClientUsername", "user_id", "apigw.consumer.name",
    "kong.auth.consumer.name",
])  # fmt: skip
_URLS = Keys([
    "url.full", "url.query", "url.original", "http.url", "http.target", "http.path", "url.path",
    "RequestPath", "request_uri", "request", "path", "uri", ":path", "x-envoy-original-path",
    "http.referer", "http_referer", "http.request.header.referer", "referer",
    "process.command_line",
])  # fmt: skip
_SECRET_NAMES = (
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key",
    "apikey", "api_key", "x-auth-token", "x-access-token", "x-amz-security-token",
    "ocp-apim-subscription-key", "access_token", "refresh_token", "id_token", "client_secret",
    "password", "passwd",
)  # fmt: skip
_HOLDERS = (
    "", "http.", "http_", "headers.", "request.", "request_", "request.headers.", "response.",
    "response.headers.", "http.request.header.", "http.request.headers.", "http.response.header.",
    "http.response.headers.", "downstream_", "origin_",
)  # fmt: skip
"""Where senders of logs and spans put headers, as a prefix of the attribute's name."""
_SECRETS = Keys(
    [
        holder + written
        for holder in _HOLDERS
        for name in _SECRET_NAMES
        for written in (name, name.title())
    ]
    + ["tyk.api.apikey"]
)
"""Twin: `_NAMES` in wal_scrub.py."""

_IPV4 = r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"
_IPV6 = r"\b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F:]{1,}|\b[0-9a-fA-F:]*::[0-9a-fA-F:]+"
_HEADER = (
    r'(?i)((?:\\?")?(?:[a-z_]*authorization|[a-z_-]*cookie|[a-z_-]*api[-_]?key)(?:\\?")?'
    r'\s*[:=]\s*\[?(?:\\?")?)(?:(?:basic|bearer)\s+)?[^"\\,\s\]]+'
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is kept of one tenant's calls."""

    client_addresses: AddressPolicy = "keep"
    user_names: UserPolicy = "keep"
    query_parameters: tuple[str, ...] = QUERY_PARAMETERS
    """Names of any case; empty = all values are kept."""


class _TenantPolicy(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    client_addresses: AddressPolicy | None = None
    user_names: UserPolicy | None = None
    query_parameters: tuple[str, ...] | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tenants: dict[str, _TenantPolicy] = {}


def load_privacy(
    default: Policy, path: Path | None, listed: Callable[[str], bool] = lambda _: False
) -> PrivacyRules:
    """The rules of a file, `tenants: {shop: {client_addresses: truncate}}`; None = one for all.

    `listed`: whether a consumer is in the catalog. What a tenant does not say is as in `default`.
    Raises ValueError, OSError for a file that cannot be used.
    """
    tenants: dict[str, Policy] = {}
    if path is not None:
        try:
            file = _File.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
        except ValidationError as err:
            first = err.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"{path}: {where}: {first['msg']}") from None
        except yaml.YAMLError as err:
            raise ValueError(f"{path} is not valid YAML: {err}") from err
        for name, said in file.tenants.items():
            tenants[name] = replace(default, **said.model_dump(exclude_none=True))
    return PrivacyRules(default, tenants, listed)


def rules_of(settings: CollectorSettings, listed: Callable[[str], bool]) -> PrivacyRules:
    """The rules that settings ask for. Raises as `load_privacy` does."""
    default = Policy(settings.client_addresses, settings.user_names, settings.query_parameters)
    return load_privacy(default, settings.privacy_file, listed)


class PrivacyRules:
    """The policies of all tenants."""

    def __init__(
        self,
        default: Policy | None = None,
        tenants: Mapping[str, Policy] | None = None,
        listed: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._default = _Rules(default or Policy(), listed)
        self._tenants = {name: _Rules(policy, listed) for name, policy in (tenants or {}).items()}

    def parameters(self, tenant: str) -> tuple[str, ...]:
        """Query parameters whose values are not kept."""
        return self._tenants.get(tenant, self._default).parameters

    def apply(self, table: str, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a table as they may be kept; of several tenants grouped by tenant."""
        if not self._tenants or rows.num_rows == 0:
            return self._default.apply(table, rows)
        tenants = pc.unique(rows.column("tenant")).to_pylist()
        if len(tenants) == 1:
            return self._tenants.get(tenants[0], self._default).apply(table, rows)
        parts = [
            self._tenants.get(tenant, self._default).apply(
                table, rows.filter(pc.equal(rows.column("tenant"), tenant))
            )
            for tenant in tenants
        ]
        return concat_coded(parts)


class _Rules:
    """One policy, ready to be applied."""

    def __init__(self, policy: Policy, listed: Callable[[str], bool]) -> None:
        self._policy = policy
        self._listed = listed
        self._address = Memo(_ADDRESS[policy.client_addresses])
        self._user = Memo(_USER[policy.user_names])

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of query parameters to redact."""
        return self._policy.query_parameters

    @cached_property
    def _parameter(self) -> str:
        """Regular expression of a query parameter to redact; group 1 stays. '' = none."""
        names = "|".join(re.escape(name) for name in self._policy.query_parameters)
        return rf"(?i)((?:^|[?&;])(?:{names})=)[^&;\s\"'#\\]+" if names else ""

    def apply(self, table: str, rows: pa.RecordBatch) -> pa.RecordBatch:
        if table == "requests":
            return _changed(rows, {
                "client_address": self._addresses(rows.column("client_address")),
                "consumer": self._users(rows.column("consumer")),
                "attributes": self._attributes(rows.column("attributes")),
            })  # fmt: skip
        if table == "spans":
            return _changed(rows, {
                "client_address": self._addresses(rows.column("client_address")),
                "attributes": self._attributes(rows.column("attributes")),
            })  # fmt: skip
        if table == "logs":
            return _changed(rows, {
                "body": self._text(rows.column("body")),
                "attributes": self._attributes(rows.column("attributes")),
            })  # fmt: skip
        if table == "rejects":
            return _changed(rows, {"record": self._record(rows.column("record"))})
        return rows

    def _addresses(self, values: pa.Array) -> pa.Array:
        return values if self._policy.client_addresses == "keep" else map_unique(
            values, self._address
        )  # fmt: skip

    def _users(self, values: pa.Array) -> pa.Array:
        if self._policy.user_names == "keep":
            return values
        return map_unique(values, lambda name: name if self._listed(name) else self._user(name))

    def _attributes(self, maps: pa.Array) -> pa.Array:
        if maps.null_count == len(maps):
            return maps
        maps = replace_items(maps, _SECRETS, _redact)
        if self._parameter:
            maps = replace_items(maps, _URLS, self._urls, only=with_parameters)
        if self._policy.client_addresses != "keep":
            maps = replace_items(maps, _ADDRESSES, self._addresses)
        if self._policy.user_names != "keep":
            maps = replace_items(maps, _USERS, self._users)
        return maps

    def _urls(self, values: pa.Array) -> pa.Array:
        return pc.replace_substring_regex(values, self._parameter, rf"\1{REDACTED}")

    def _text(self, values: pa.Array) -> pa.Array:
        """Log bodies: parameters of URLs, header values, and addresses where they are not kept."""
        queries, headers = with_secrets(values)
        if self._parameter:
            values = _where(values, queries, self._urls)
        values = _where(values, headers, _redact_headers)
        return values if self._policy.client_addresses == "keep" else _mask_addresses(values)

    def _record(self, values: pa.Array) -> pa.Array:
        if self._policy.user_names != "keep":
            return pa.nulls(len(values), pa.string())
        return values if self._policy.client_addresses == "keep" else _mask_addresses(values)


def _changed(rows: pa.RecordBatch, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    for name, values in columns.items():
        rows = set_column(rows, name, values)
    return rows


def _where(values: pa.Array, found: Bools, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    if not found.any():
        return values
    mask = pa.array(found)
    return pc.replace_with_mask(values, mask, change(values.filter(mask)))


def _redact(values: pa.Array) -> pa.Array:
    return pa.repeat(pa.scalar(REDACTED, pa.string()), len(values))


def _redact_headers(values: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(values, _HEADER, rf"\1{REDACTED}")


def _mask_addresses(values: pa.Array) -> pa.Array:
    masked = pc.replace_substring_regex(values, _IPV4, "[address]")
    return pc.replace_substring_regex(masked, _IPV6, "[address]")


def truncate_address(address: str) -> str | None:
    """The network of an address, /24 or /48; None for what is no address."""
    try:
        found = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        host, port, _ = address.rpartition(":")
        return truncate_address(host) if port and "." in host else None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    bits = 24 if found.version == 4 else 48
    return str(ipaddress.ip_network((found, bits), strict=False).network_address)


def _hash(value: str) -> str:
    return hash_credential(value)


def _drop(_: str) -> None:
    return None


_ADDRESS: Mapping[str, Callable[[str], str | None]] = {
    "keep": str, "truncate": truncate_address, "hash": _hash, "drop": _drop,
}  # fmt: skip
_USER: Mapping[str, Callable[[str], str | None]] = {"keep": str, "hash": _hash, "drop": _drop}
