"""The UDP and TCP listeners: sockets in, messages to their inlets.

Nobody acknowledges these messages. UDP drops what finds no room, by reason, in the counter
`gatelens_collector_listener_dropped`; TCP stops reading instead, and loses at most what a stopping
collector had read and could not put into its log.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from prometheus_client import Counter

from collector.auth import Principal
from collector.errors import CollectorStartError
from collector.formats import FORMATS
from collector.intake import Intake
from collector.payload import Content
from collector.receivers.framing import Deframer, FrameTooLong
from collector.receivers.inlet import Inlet
from collector.receivers.limits import (
    LISTENER_CONNECTIONS_MAX,
    LISTENER_IDLE_S,
    MESSAGE_BYTES_MAX,
    UDP_BUFFER_BYTES,
)
from collector.receivers.listener_spec import ListenerSpec, parse_listener
from collector.receivers.syslog import frame, parse_syslog

log = structlog.get_logger(__name__)

_READ_BYTES = 64 * 1024


def bind_listeners(specs: Sequence[str]) -> list[tuple[ListenerSpec, socket.socket]]:
    """Parse and bind. Raises CollectorStartError; nothing is left open then."""
    bound: list[tuple[ListenerSpec, socket.socket]] = []
    with contextlib.ExitStack() as undo:
        for text in specs:
            try:
                spec = parse_listener(text, FORMATS)
            except ValueError as err:
                raise CollectorStartError(str(err)) from err
            sock = _bind(spec)
            undo.callback(sock.close)
            bound.append((spec, sock))
        undo.pop_all()
    return bound


def _bind(spec: ListenerSpec) -> socket.socket:
    kind = socket.SOCK_DGRAM if spec.transport == "udp" else socket.SOCK_STREAM
    try:
        family, _, protocol, _, address = socket.getaddrinfo(
            spec.host, spec.port, type=kind, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as err:
        raise CollectorStartError(f"Host {spec.host!r} cannot be used: {err}.") from err
    try:
        if kind == socket.SOCK_DGRAM:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        if kind == socket.SOCK_STREAM:
            # As with the HTTP port: connections wait until the server takes over.
            sock.listen(LISTENER_CONNECTIONS_MAX)
    except OSError as err:
        sock.close()
        raise CollectorStartError(
            f"Port {spec.port} ({spec.framing}+{spec.transport}) cannot be used on {spec.host} "
            f"({err.strerror}); stop what uses it or change listeners."
        ) from err
    sock.setblocking(False)
    return sock


class Listeners:
    """All listeners of one collector; `start` and `stop` on its event loop."""

    def __init__(self, intake: Intake, bound: Sequence[tuple[ListenerSpec, socket.socket]]) -> None:
        self._intake = intake
        self._bound = bound
        self._dropped = Counter(
            "gatelens_collector_listener_dropped",
            "Messages of listeners that were lost, by reason.",
            ("listener", "reason"),
            registry=intake.telemetry.registry,
        )
        self._inlets: list[Inlet] = []
        self._pumps: list[asyncio.Task[None]] = []
        self._servers: list[asyncio.Server] = []
        self._datagrams: list[asyncio.DatagramTransport] = []
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def ports(self) -> list[int]:
        """As bound, in the order of the settings."""
        return [sock.getsockname()[1] for _, sock in self._bound]

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        for spec, sock in self._bound:
            port = sock.getsockname()[1]
            name = f"{spec.framing}+{spec.transport}:{port}"
            inlet = self._inlet(spec, name)
            self._inlets.append(inlet)
            self._pumps.append(asyncio.create_task(inlet.run()))
            if spec.transport == "udp":
                transport, _ = await loop.create_datagram_endpoint(
                    partial(_Datagrams, inlet), sock=sock
                )
                self._datagrams.append(transport)
            else:
                server = await asyncio.start_server(
                    partial(self._connected, spec, inlet, name), sock=sock
                )
                self._servers.append(server)
            log.info("listening", listener=name, host=spec.host, format=spec.format)

    def _inlet(self, spec: ListenerSpec, name: str) -> Inlet:
        join, content = _joiner(spec)
        return Inlet(
            self._intake,
            FORMATS[spec.format],
            Principal(spec.tenant, spec.environment),
            join=join,
            content=content,
            transport=spec.transport,
            dropped=lambda reason, count: self._dropped.labels(name, reason).inc(count),
        )

    async def stop(self, timeout_s: float) -> None:
        """Take nothing more, carry what came into the log. Call it before the intake stops."""
        for transport in self._datagrams:
            transport.close()
        for server in self._servers:
            server.close()
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=timeout_s)
        for inlet in self._inlets:
            inlet.close()
        if self._pumps:
            _, late = await asyncio.wait(self._pumps, timeout=timeout_s)
            for task in late:
                task.cancel()

    # -- TCP ----------------------------------------------------------------------------------

    async def _connected(
        self,
        spec: ListenerSpec,
        inlet: Inlet,
        name: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) > LISTENER_CONNECTIONS_MAX:
                self._dropped.labels(name, "connections").inc()
                return
            peer = writer.get_extra_info("peername")
            await _read_stream(reader, Deframer(octets=spec.framing == "syslog"), inlet, peer[0])
        except FrameTooLong:
            self._dropped.labels(name, "too_long").inc()
            log.warning("connection_closed_message_too_long", listener=name)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()


async def _read_stream(
    reader: asyncio.StreamReader, deframer: Deframer, inlet: Inlet, origin: str
) -> None:
    """Until the peer closes. Waiting for room in the inlet is what slows the peer down."""
    while True:
        async with asyncio.timeout(LISTENER_IDLE_S):
            data = await reader.read(_READ_BYTES)
        if not data:
            break
        for message in deframer.feed(data):
            await inlet.put(message, origin)
    rest = deframer.finish()
    if rest:
        await inlet.put(rest, origin)


class _Datagrams(asyncio.DatagramProtocol):
    """One message per datagram."""

    def __init__(self, inlet: Inlet) -> None:
        self._inlet = inlet

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.strip():
            self._inlet.offer(data[:MESSAGE_BYTES_MAX], addr[0])


def _joiner(spec: ListenerSpec) -> tuple[Callable[[list[bytes]], bytes], Content]:
    """How messages become a body of the listener's format."""
    if spec.format == "syslog":
        return (lambda messages: b"".join(map(frame, messages))), "text"
    if spec.framing == "syslog":
        return _without_headers, "text"
    return (lambda messages: b"\n".join(map(_one_line, messages))), "text"


def _without_headers(messages: list[bytes]) -> bytes:
    """The messages alone, one per line: the formats of gateways know no syslog."""
    lines = [parse_syslog(message, 0).message.encode("utf-8", "replace") for message in messages]
    return b"\n".join(map(_one_line, lines))


def _one_line(message: bytes) -> bytes:
    message = message.strip()
    return b" ".join(message.splitlines()) if b"\n" in message or b"\r" in message else message
