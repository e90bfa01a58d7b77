"""How many bytes have come over a TCP connection that somebody else reads, as the kernel counts.

gRPC's core says nothing of a message before all of it is in memory. The kernel knows what came over
the connection: `tcpi_bytes_received` of TCP_INFO (Linux 4.1 and later). The socket is found among
the process's own by the peer's address.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
import threading
from urllib.parse import unquote

from collector.limits import GRPC_PEERS_KNOWN_MAX

Address = tuple[str, int]

_RECEIVED_AT, _SIZE = 128, 136
"""Where the count is in `struct tcp_info` (linux/tcp.h), and the bytes up to its end."""


class Arrivals:
    """Counts of the connections to one local port. Thread-safe."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers: dict[Address, int] = {}
        """Peer -> the number its socket had when it was last looked for."""
        self._lock = threading.Lock()

    def count(self, peer: Address) -> int | None:
        """Bytes that have come from `peer` since it connected; None = cannot be told (another
        system than Linux, or the connection is gone)."""
        if not sys.platform.startswith("linux"):
            return None
        with self._lock:
            number = self._numbers.get(peer)
            received = None if number is None else self._received(number, peer)
            return self._look_for(peer) if received is None else received

    def _look_for(self, peer: Address) -> int | None:
        self._numbers.pop(peer, None)
        for name in os.listdir("/proc/self/fd"):
            received = self._received(int(name), peer)
            if received is not None:
                if len(self._numbers) >= GRPC_PEERS_KNOWN_MAX:
                    del self._numbers[next(iter(self._numbers))]
                self._numbers[peer] = int(name)
                return received
        return None

    def _received(self, number: int, peer: Address) -> int | None:
        """None = the file of that number is not (or no longer) the connection of `peer`."""
        try:
            copy = os.dup(number)  # its owner may close the number at any time
        except OSError:
            return None
        try:
            sock = socket.socket(fileno=copy)
        except OSError:  # no socket
            os.close(copy)
            return None
        with sock:
            try:
                if sock.getsockname()[1] != self._port or _address(sock.getpeername()) != peer:
                    return None
                info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
            except (OSError, IndexError, ValueError):  # of another family, or not connected
                return None
        if len(info) < _SIZE:
            return None
        received: int = struct.unpack_from("=Q", info, _RECEIVED_AT)[0]
        return received


def peer_address(peer: str) -> Address | None:
    """gRPC's `ipv4:10.0.0.1:5000` or `ipv6:%5B::1%5D:5000`; None for what is not TCP."""
    kind, _, rest = peer.partition(":")
    host, _, port = unquote(rest).rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdecimal():
        return None
    return _address((host.strip("[]"), int(port)))


def _address(name: tuple[object, ...]) -> Address:
    """One spelling of each address; IPv4 within IPv6 as IPv4."""
    host, port = str(name[0]), int(str(name[1]))
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host, port
    return str(getattr(address, "ipv4_mapped", None) or address), port
