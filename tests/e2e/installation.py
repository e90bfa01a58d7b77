"""A real Gatelens for tests: the processes as a user starts them, on free ports, in a folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from storage.settings import StorageSettings
from storage.sql_worker import run_sql

START_WITHIN_S = 90.0
"""Generous: the first start on a machine compiles the decoder."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Installation:
    """One data folder, and the processes started on it."""

    data: Path
    http_port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def collector(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "GATELENS_DATA_DIR": str(self.data),
            "GATELENS_COLLECTOR_HTTP_PORT": str(self.http_port),
            "GATELENS_COLLECTOR_GRPC_PORT": str(self.grpc_port),
            "GATELENS_DASHBOARD_PORT": str(self.dashboard_port),
            **self.environment,
        }

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `gatelens ...` in the background; its output goes to `<data>/<command>.out`."""
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / f"{arguments[0]}.out").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "gatelens", *arguments],
                env=self.environ(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def run(self, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
        """Run `gatelens ...` to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "gatelens", *arguments],
            env=self.environ(),
            capture_output=True,
            timeout=90,
            input=stdin,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query, as an analyst gets them: the guarded worker process of `gatelens sql`,
        kept between questions, which the command cannot."""
        settings = StorageSettings(data_dir=self.data)
        rows: list[dict[str, Any]] = run_sql(settings, query).table.to_pylist()
        return rows

    def wait_for_row(self, query: str, expected: dict[str, Any], timeout_s: float = 40.0) -> None:
        """Until the query's only row is as expected."""
        wait_until(lambda: self.sql(query) == [expected], timeout_s, self.output)

    def wait_ready(self, url: str) -> None:
        """Until `<url>/readyz` says yes; fails with the processes' output when one has ended."""

        def ready() -> bool:
            for process in self.processes:
                assert process.poll() is None, self.output()
            try:
                return httpx.get(f"{url}/readyz", timeout=2).status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(ready, START_WITHIN_S, self.output)

    def output(self) -> str:
        return "\n".join(p.read_text(errors="replace")[-4000:] for p in self.data.glob("*.out"))

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()


def wait_until(
    condition: Callable[[], bool], timeout_s: float, explain: Callable[[], str] = lambda: ""
) -> None:
    """Poll until true; other processes decide when, so there is nothing to inject."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s\n{explain()}"
        time.sleep(0.1)
