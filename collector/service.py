"""One collector: its parts put together, started in order, stopped in order.

start   lock and recover the log -> ask the lake how far it is -> bind the ports -> warm the
        decoders -> replay in the background -> serve
stop    refuse new requests -> let those under way finish -> commit what is acknowledged ->
        close the log
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvicorn

from collector.auth import TokenBook
from collector.backlog import Backlog
from collector.batcher import Batcher, recorded_versions
from collector.errors import CollectorError, CollectorStartError
from collector.formats import FORMATS, MESSAGES, formats_of
from collector.grpc_server import GrpcServer
from collector.http_app import HttpApp
from collector.http_protocol import guarded_protocol
from collector.intake import Admitted, Intake
from collector.naming import Naming
from collector.naming.fronts import Fronts
from collector.naming.limits import NamingLimits
from collector.naming.twins import Twins
from collector.operations import operations_app
from collector.privacy import use_secret
from collector.privacy_rules import PrivacyRules, rules_of
from collector.receivers.background import Background
from collector.settings import CollectorSettings
from collector.telemetry import Telemetry
from collector.tls import CertificateFiles
from collector.wal import Wal
from collector.wal_cursor import WalCursor
from collector.wal_scrub import Scrubber
from collector.warm import warm_up
from storage.catalog import load_catalog
from storage.errors import StorageError
from storage.lake import Lake
from storage.settings import StorageSettings

if TYPE_CHECKING:
    from collector.heartbeat import Heartbeat
    from collector.self_traces import SelfTraces

log = structlog.get_logger(__name__)

WAL_FOLDER = "wal"
_FINISH_S = 1.0
"""Part of the stop given to requests under way."""


class Collector:
    """Everything of one process. `start`, then `serve` (which returns once stopped)."""

    def __init__(
        self,
        settings: CollectorSettings,
        storage: StorageSettings,
        catalog_path: Path | None,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        """Lock, recover and bind. Raises CollectorStartError; nothing is left open then.
        heartbeat: None = nobody is told when it took data."""
        try:
            settings.validate()
        except ValueError as err:
            raise CollectorStartError(str(err)) from err
        self.settings = settings
        self._heartbeat = heartbeat
        self.telemetry = Telemetry()
        self._formats = formats_of(settings)
        self.intake = Intake(settings, self.telemetry, storage, formats=self._formats)
        self._warm = False
        self._stopping = False
        with contextlib.ExitStack() as undo, _told_in_a_sentence():
            self._naming = _load_naming(catalog_path, storage.data_dir, settings)
            self._privacy = _load_privacy(settings, self._naming)
            self.intake.warn_with(self._naming.overflows.warning)
            self._tokens = TokenBook(settings.tokens_file)
            self._certificate = CertificateFiles(settings) if settings.tls_certificate else None
            self._wal: Wal[Admitted] = Wal(
                storage.data_dir / WAL_FOLDER, settings, self.intake.on_group
            )
            undo.callback(self._wal.close)
            use_secret(storage.data_dir)
            self._open_lake(storage)
            self._socket = bind(settings.host, settings.http_port)
            undo.callback(self._socket.close)
            self.http_port: int = self._socket.getsockname()[1]
            self._traces = _self_traces(settings, (self.http_port, settings.grpc_port))
            if self._traces:
                undo.callback(self._traces.close)
            self._grpc = (
                GrpcServer(settings, self.intake, self._tokens, self._certificate, self._traces)
                if settings.grpc_port >= 0
                else None
            )
            self.grpc_port = self._grpc.port if self._grpc else -1
            self.background = Background(settings, self.intake, self._wal.recovery.digests)
            undo.callback(self.background.close)
            undo.pop_all()

    def _open_lake(self, storage: StorageSettings) -> None:
        try:
            lake = Lake(storage)
            recorded = recorded_versions(lake, self._wal.id)
        except (OSError, StorageError) as err:
            raise CollectorStartError(
                f"The lake at {storage.resolved_lake_url} cannot be opened: {err}"
            ) from err
        settings, recovery = self.settings, self._wal.recovery
        self._wal.start(floor=max(recorded.values(), default=0))
        first = min((s.head.first for s in recovery.segments), default=1)
        self._backlog = Backlog(
            WalCursor(self._wal, body_bytes_max=settings.body_bytes_max),
            settings.queue_bytes_max,
            first=first if recovery.records else self._wal.last_sequence + 1,
            last=recovery.last if recovery.records else self._wal.last_sequence,
        )
        self.batcher = Batcher(
            settings=settings,
            lake=lake,
            wal=self._wal,
            backlog=self._backlog,
            naming=self._naming,
            formats=self._formats,
            telemetry=self.telemetry,
            recorded=recorded,
            replay_until=recovery.last,
            privacy=self._privacy,
        )
        self.intake.dedupe.remember(recovery.digests, time.time())
        scrubber = Scrubber(self._privacy.parameters, MESSAGES) if settings.wal_scrub else None
        self.intake.attach(self._wal, self._backlog, scrubber)
        self.telemetry.wal_lost.set(recovery.lost_records)
        self.telemetry.wal_torn_bytes.set(recovery.torn_bytes)
        if recovery.records:
            log.info(
                "wal_recovered",
                requests=recovery.records,
                bytes=recovery.total_bytes,
                torn_bytes=recovery.torn_bytes,
                lost_requests=recovery.lost_records,
            )

    def start(self) -> None:
        """Warm the decoders, begin the replay. Takes seconds on a machine's first start."""
        warm_up(FORMATS, self._naming)
        self.batcher.start()
        if self._grpc:
            self._grpc.start()
        self._warm = True

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve HTTP until `stop` is set, then stop everything in order."""
        app = HttpApp(
            self.intake,
            self._tokens,
            operations_app(
                alive=self._alive,
                trouble=self.batcher.trouble,
                ready=self._ready,
                metrics=self._metrics,
            ),
            self._traces,
        )
        config = uvicorn.Config(
            app,
            http=guarded_protocol(self.settings, self.telemetry),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=int(self.settings.keep_alive_s),
            timeout_graceful_shutdown=_FINISH_S,  # type: ignore[arg-type]
            backlog=2048,
        )
        watching: asyncio.Task[None] | None = None
        if self._certificate:
            config.load()
            config.ssl = self._certificate.context
            watching = asyncio.create_task(self._certificate.watch())
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        serving = asyncio.create_task(server.serve([self._socket]))
        await self.background.start()
        log.info(
            "collector_serving",
            host=self.settings.host,
            http_port=self.http_port,
            grpc_port=self.grpc_port,
        )
        looking: asyncio.Task[None] | None = None
        if self._heartbeat:
            self._heartbeat.open(self._wal.id, self._taking, self.telemetry.heartbeat_failures)
            looking = asyncio.create_task(self._heartbeat.keep_looking())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if watching:
            watching.cancel()
        if self._heartbeat and looking:
            looking.cancel()
            self._heartbeat.look()  # the last: from here on requests are refused
        await self._shut_down(server, serving)
        if self._heartbeat:
            await asyncio.to_thread(self._heartbeat.close, _FINISH_S)

    async def _shut_down(self, server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
        started = time.monotonic()
        self._stopping = True
        await self.background.stop()
        self.intake.stop()
        server.should_exit = True
        ending: list[asyncio.Future[None]] = []
        if self._grpc:
            ending.append(
                asyncio.get_running_loop().run_in_executor(None, self._grpc.stop, _FINISH_S)
            )
        await asyncio.gather(serving, *ending)
        left_s = max(0.5, self.settings.shutdown_s - (time.monotonic() - started))
        flushed = await asyncio.to_thread(self.batcher.close, left_s)
        window_ns = self.settings.dedupe_window_s * 1_000_000_000
        await asyncio.to_thread(
            self._wal.close, all_in_lake=flushed, forget_before_ns=time.time_ns() - window_ns
        )
        if self._traces:
            await asyncio.to_thread(self._traces.close)
        log.info(
            "collector_stopped",
            flushed=flushed,
            left_in_log=self.batcher.lag,
            took_s=round(time.monotonic() - started, 2),
        )

    # -- what operators see -------------------------------------------------------------------

    def _taking(self) -> bool:
        """Whether there is room for any request at all."""
        try:
            self.intake.check_room(0)
        except (CollectorError, OSError):
            return False
        return True

    def _alive(self) -> str:
        return self._wal.failed

    def _ready(self) -> str:
        if not self._warm:
            return "The decoders are being prepared."
        if self._stopping:
            return "The collector is stopping."
        try:
            self._wal.check_room(0)
        except CollectorError as err:
            return str(err)
        return ""

    def _metrics(self) -> bytes:
        telemetry, figures = self.telemetry, self._wal.figures
        telemetry.inflight_bytes.set(self.intake.budget.used)
        telemetry.queue_bytes.set(self._backlog.queued_bytes)
        telemetry.wal_bytes.set(self._wal.total_bytes)
        telemetry.wal_lag.set(self.batcher.lag)
        telemetry.commit_lag_s.set(self.batcher.lag_s())
        telemetry.wal_syncs.set(figures.syncs)
        telemetry.wal_sync_s.set(figures.sync_s)
        telemetry.wal_failed.set(bool(self._wal.failed))
        telemetry.digests.set(len(self.intake.dedupe))
        telemetry.spans_left.set(self._naming.fronts.spans_left)
        telemetry.spans_left_to_log.set(self._naming.twins.spans_left)
        for reason, requests in self._naming.overflows.requests.items():
            telemetry.names_overflowed.labels(reason).set(requests)
        return telemetry.render()


@contextlib.contextmanager
def _told_in_a_sentence() -> Iterator[None]:
    """A disk that fails while the collector starts."""
    try:
        yield
    except OSError as err:
        place = err.filename or "the data folder"
        raise CollectorStartError(
            f"The collector cannot start: {err.strerror or err}; check the disk of {place}."
        ) from err


def _self_traces(settings: CollectorSettings, own_ports: tuple[int, ...]) -> SelfTraces | None:
    if not settings.self_traces_url:
        return None
    from collector.self_traces import SelfTraces  # the exporter is only loaded where it is used

    return SelfTraces(settings, own_ports=own_ports)


def _load_naming(catalog_path: Path | None, data_dir: Path, settings: CollectorSettings) -> Naming:
    limits = NamingLimits(settings.api_names_max, settings.route_names_max)
    try:
        return Naming(load_catalog(catalog_path), Fronts(data_dir), Twins(data_dir), limits)
    except (OSError, StorageError) as err:
        raise CollectorStartError(f"The catalog cannot be used: {err}") from err


def _load_privacy(settings: CollectorSettings, naming: Naming) -> PrivacyRules:
    try:
        return rules_of(settings, naming.is_consumer)
    except (OSError, ValueError) as err:
        raise CollectorStartError(f"The privacy file cannot be used: {err}") from err


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket on host and port, not yet listening. Raises CollectorStartError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as err:
        raise CollectorStartError(f"Host {host!r} cannot be used: {err}.") from err
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        # Listening now tells about a port in use; connections wait until the server takes over.
        sock.listen(2048)
    except OSError as err:
        sock.close()
        raise CollectorStartError(
            f"Port {port} (OTLP/HTTP) cannot be used on {host} ({err.strerror}); "
            "stop what uses it or set http_port."
        ) from err
    sock.setblocking(False)
    return sock


class CollectorThread:
    """A collector on a thread of its own, for tests and tools that live in the same process."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector")

    def __enter__(self) -> CollectorThread:
        self.collector.start()
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None and self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            self._ready.set()
            await self.collector.serve(self._stop)

        asyncio.run(main())
