"""`gatelens up`: which roles there are, where they answer, and how they are told their settings."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from pathlib import Path

from rich.console import Console

from gatelens.errors import PortInUse
from gatelens.settings import Settings
from gatelens.supervisor import Role, Supervisor

KEEP_MEMORY = {"MIMALLOC_PURGE_DELAY": "10000"}
"""Read by Arrow's allocator, in ms. Merging takes and gives back the same memory again and again;
with the allocator's own 10 ms the kernel hands it out anew each time: up to a fifth of a merge."""

console = Console(highlight=False, soft_wrap=True)


def server_roles(settings: Settings, config: Path | None) -> list[Role]:
    """Collector, jobs and dashboards, in the order of starting."""

    def command(name: str) -> tuple[str, ...]:
        return role_command(name, settings, config)

    def role(name: str, arguments: str, url: str | None, stop_order: int = 0) -> Role:
        ready, health = (f"{url}/readyz", f"{url}/healthz") if url else (None, None)
        return Role(name, command(arguments), ready, health, stop_order)

    # A collector that wants client certificates cannot be asked: we have none.
    asked = None if settings.collector.tls_client_ca else collector_url(settings)
    return [
        role("collector", "collect", asked, stop_order=1),
        Role("jobs", command("jobs"), environment=KEEP_MEMORY),
        role("dashboards", "dash", dashboard_url(settings)),
    ]


def check_ports_free(settings: Settings) -> None:
    """Refuse to start beside whatever already listens there. Raises PortInUse.

    The roles check as well; here it comes before anything has started, and before another
    installation on the same ports is taken for ours.
    """
    for setting, host, port in (
        ("collector.http_port", settings.collector.host, settings.collector.http_port),
        ("collector.grpc_port", settings.collector.host, settings.collector.grpc_port),
        ("dashboard.port", settings.dashboard.host, settings.dashboard.port),
    ):
        with contextlib.suppress(OSError), socket.create_connection((_local(host), port), 0.5):
            raise PortInUse(setting, host, port)


def role_command(name: str, settings: Settings, config: Path | None) -> tuple[str, ...]:
    """Command line that gives a role the same settings as ours; the environment is inherited."""
    config_flag = ("--config", str(config)) if config else ()
    data_flag = ("--data", str(settings.data_dir))
    return (sys.executable, "-m", "gatelens", name, *data_flag, *config_flag)


def insecure_flag(settings: Settings) -> dict[str, str]:
    """Environment that hands on what has no flag in every role."""
    return {"GATELENS_INSECURE": "true"} if settings.insecure else {}


def collector_url(settings: Settings) -> str:
    """Where the collector's HTTP door is, seen from this machine."""
    scheme = "https" if settings.collector.tls_certificate else "http"
    return f"{scheme}://{_local(settings.collector.host)}:{settings.collector.http_port}"


def dashboard_url(settings: Settings) -> str:
    """Where the screens are, seen from this machine."""
    return f"http://{_local(settings.dashboard.host)}:{settings.dashboard.port}"


def run_up(settings: Settings, config: Path | None) -> int:
    """Run the servers until SIGTERM or Ctrl-C. Returns the exit code."""
    check_ports_free(settings)

    def ready(seconds: float) -> None:
        console.print(
            f"gatelens is up after {seconds:.1f} s, data in {settings.data_dir}\n"
            f"  OTLP/gRPC   {_local(settings.collector.host)}:{settings.collector.grpc_port}\n"
            f"  OTLP/HTTP   {collector_url(settings)}\n"
            f"  dashboards  {dashboard_url(settings)}\n"
            "Ctrl-C stops all of it."
        )
        print_setup_link(settings)

    supervisor = Supervisor(
        server_roles(settings, config), environment=insecure_flag(settings), on_ready=ready
    )
    return run_until_signal(supervisor)


def print_setup_link(settings: Settings) -> None:
    """Where a login is asked and nobody could give one: the link that makes the first admin."""
    from gatelens.people import anybody, setup_link

    if settings.dashboard.login == "on" and not anybody(settings):
        console.print(
            "Nobody can sign in yet. This link makes the first admin; it works once, for a day:\n"
            f"  {setup_link(settings)}"
        )


def run_until_signal(supervisor: Supervisor) -> int:
    """Pass SIGTERM, SIGINT and SIGHUP on as an orderly stop."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, supervisor.stop)
    return supervisor.run()


def _local(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # listening everywhere includes here
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
