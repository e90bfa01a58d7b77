"""Which addresses a notification may be sent to.

A webhook's address is configuration, but names can be re-pointed and configuration can be typed by
someone who may not see the inside of the network. So the name is resolved once, every address it
has is checked, and the connection goes to the checked address: a second look-up (DNS rebinding)
cannot change it. Odd spellings (127.1, 0x7f.1, 2130706433) are caught because what is checked is
what the resolver made of them.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from alerting.errors import AddressRefused, DeliveryFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Target:
    """A checked place to connect to."""

    scheme: str
    host: str
    """As configured: for TLS and the Host header."""
    port: int
    address: str
    """The checked address to connect to."""
    path: str
    """With query."""


def resolve(host: str, port: int) -> Sequence[str]:
    """Addresses of a host, by the system's resolver. Raises DeliveryFailed (retry) when none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as err:
        raise DeliveryFailed(f"The host {host!r} has no address.", retry=True) from err
    return [str(entry[4][0]) for entry in found]


def check_url(url: str, allowed: Sequence[Network] = (), *, resolver: Resolver = resolve) -> Target:
    """The target of a URL. Raises AddressRefused when it may not be called.

    https only, unless the address lies in `allowed`: that may be private and plain http.
    The URL itself is never in an error, as it may hold a token.
    """
    parts = split_url(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = check_host(host, port, allowed, resolver=resolver)
    if parts.scheme != "https" and not _in_any(ipaddress.ip_address(address), allowed):
        raise AddressRefused(f"{host!r} would be called without TLS.", "Use https.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, address, path)


def check_host(
    host: str, port: int, allowed: Sequence[Network] = (), *, resolver: Resolver = resolve
) -> str:
    """The address to connect to for a host. Raises AddressRefused unless every address it has is
    public or in `allowed`, DeliveryFailed when it has none."""
    addresses = [ipaddress.ip_address(a.split("%")[0]) for a in resolver(host, port)]
    if not addresses:
        raise DeliveryFailed(f"The host {host!r} has no address.", retry=True)
    for address in addresses:
        if not is_public(address) and not _in_any(address, allowed):
            raise AddressRefused(
                f"{host!r} leads to {address}, which is not a public address.",
                "List its network under allow_networks of the channel if that is meant.",
            )
    return str(addresses[0])


def split_url(url: str) -> SplitResult:
    """The parts of an http(s) URL without user and password. Raises AddressRefused."""
    try:
        parts = urlsplit(url)
        port_is_sane = parts.port is None or parts.port > 0
    except ValueError:
        raise AddressRefused("The channel's address is not a URL.", "Write https://...") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or not port_is_sane:
        raise AddressRefused("The channel's address is not an https URL.", "Write https://...")
    if parts.username or parts.password:
        raise AddressRefused(
            "The channel's address carries a user or password.", "Use a secret reference instead."
        )
    return parts


def is_public(address: Address) -> bool:
    """Whether an address is one on the open internet; what is wrapped in IPv6 is looked at too."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks or single addresses. Raises ValueError with the text that is neither."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _in_any(address: Address, networks: Sequence[Network]) -> bool:
    if address.is_link_local:  # cloud metadata lives there; nothing that takes alerts does
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return _in_any(address.ipv4_mapped, networks)
    return any(address.version == network.version and address in network for network in networks)
