"""The real programs, sending here as they send anywhere. Each is fetched into a folder of its own
and skipped, with the reason, where it cannot be had."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.core.doors import eventually, open_collector, query
from tests.collector.exporters.peers import built

pytestmark = pytest.mark.peer


def fetch(what: str, *command: str, cwd: Path) -> None:
    """Run an installer; skip the test, loudly, where it fails."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{what} needs {command[0]}, which is not installed here")
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        pytest.skip(f"{what} could not be had: {done.stderr.strip()[-200:]}")


@contextlib.contextmanager
def running(*command: str, cwd: Path) -> Iterator[None]:
    with (cwd / "peer.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=output)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_debians_prometheus_writes_its_own_metrics_here(tmp_path: Path) -> None:
    fetch("Prometheus", "apt-get", "download", "prometheus", cwd=tmp_path)
    [package] = tmp_path.glob("prometheus_*.deb")
    fetch("Prometheus", "dpkg-deb", "-x", str(package), str(tmp_path), cwd=tmp_path)
    own = free_port()
    data = tmp_path / "data"
    with open_collector(data) as collector:
        (tmp_path / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\n"
            "scrape_configs:\n"
            f"  - {{job_name: itself, static_configs: [{{targets: ['127.0.0.1:{own}']}}]}}\n"
            "remote_write:\n"
            f"  - url: http://127.0.0.1:{collector.http_port}/api/v1/write\n"
            "    queue_config: {batch_send_deadline: 1s}\n"
        )
        with running(
            str(tmp_path / "usr/bin/prometheus"), "--config.file=prometheus.yml",
            "--storage.tsdb.path=tsdb", f"--web.listen-address=127.0.0.1:{own}", cwd=tmp_path,
        ):  # fmt: skip
            sql = "SELECT count(*) AS n FROM metrics WHERE name = 'up' AND value = 1"
            eventually(lambda: int(str(query(data, sql)[0]["n"])) >= 3, timeout_s=60)
    rows = query(data, "SELECT DISTINCT service_name, service_instance_id, type FROM metrics"
                       " WHERE name = 'prometheus_http_requests_total'")  # fmt: skip
    assert [(r["service_name"], r["service_instance_id"], r["type"]) for r in rows] == [
        ("itself", f"127.0.0.1:{own}", "sum")
    ]
    assert not query(data, "SELECT * FROM rejects")
    doubled = query(data, "SELECT series, time FROM metrics GROUP BY ALL HAVING count(*) > 1")
    assert not doubled


def test_prometheus_own_client_writes_by_version_2_here(tmp_path: Path) -> None:
    """client_golang's client: it fails where the answer does not count what it sent."""
    source = Path(__file__).parent / "go"
    folder = built(source, "go", [["go", "build", "-o", "sender", "."]])
    data = tmp_path / "data"
    with open_collector(data) as collector:
        address = f"http://127.0.0.1:{collector.http_port}"
        done = subprocess.run(
            [folder / "sender", address], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        eventually(lambda: len(query(data, "SELECT 1 FROM metrics")) >= 200, timeout_s=60)
    rows = query(data, "SELECT * FROM metrics ORDER BY attributes['shelf']::INT, time")
    assert [r["value"] for r in rows] == [v for n in range(100) for v in (n, n + 1)]
    assert {(r["name"], r["type"], r["unit"], r["description"]) for r in rows} == {
        ("orders_total", "sum", "orders", "Orders.")
    }
    assert {(r["service_name"], r["service_instance_id"]) for r in rows} == {("shop", "shop:80")}
    assert sum(len(r["exemplars"] or ()) for r in rows) == 100  # type: ignore[arg-type]


LISTENERS = ("syslog+udp://127.0.0.1:0", "syslog+tcp://127.0.0.1:0")


@pytest.mark.parametrize("standard", ["--rfc5424", "--rfc3164"])
@pytest.mark.parametrize("transport", [["--udp"], ["--tcp"], ["--tcp", "--octet-count"]])
def test_logger_is_heard(tmp_path: Path, transport: list[str], standard: str) -> None:
    if shutil.which("logger") is None:
        pytest.skip("logger(1) is not installed here")
    with open_collector(tmp_path, listeners=LISTENERS) as collector:
        port = collector.background.ports["--tcp" in transport]
        subprocess.run(
            ["logger", "--server", "127.0.0.1", "--port", str(port), *transport, standard,
             "--tag", "shop", "--id=42", "--priority", "local3.warning", "heard by you"],
            check=True, timeout=10,
        )  # fmt: skip
        eventually(lambda: query(tmp_path, "SELECT * FROM logs"))
    [row] = query(tmp_path, "SELECT * FROM logs")
    assert (row["body"], row["service_name"], row["severity_text"]) == (
        "heard by you", "shop", "warning",
    )  # fmt: skip
    attributes = dict(row["attributes"])  # type: ignore[call-overload]
    assert attributes["process.pid"] == "42"
    assert attributes["syslog.facility"] == "19"


ZIPKIN_JS = """
const {Tracer, BatchRecorder, ExplicitContext, jsonEncoder: {JSON_V2}} = require('zipkin');
const {HttpLogger} = require('zipkin-transport-http');
const logger = new HttpLogger(
  {endpoint: process.argv[1], jsonEncoder: JSON_V2, httpInterval: 50});
logger.on('success', () => process.exit(0));
logger.on('error', (told) => { console.error(told); process.exit(1); });
const recorder = new BatchRecorder({logger});
const tracer = new Tracer({ctxImpl: new ExplicitContext(), recorder, localServiceName: 'shop-js'});
const {Instrumentation} = require('zipkin');
const server = new Instrumentation.HttpServer({tracer, port: 80});
const {option: {None}} = require('zipkin');
tracer.scoped(() => {
  const id = server.recordRequest('GET', 'http://shop/items?q=1', () => None);
  server.recordResponse(id, '503');
});
setTimeout(() => process.exit(2), 50000);
"""


def test_npms_zipkin_reports_a_span_that_is_a_request(tmp_path: Path) -> None:
    fetch(
        "npm's zipkin", "npm", "install", "--no-audit", "--no-fund", "--prefix", ".",
        "zipkin@0.22", "zipkin-transport-http@0.22", cwd=tmp_path,
    )  # fmt: skip
    data = tmp_path / "data"
    with open_collector(data) as collector:
        endpoint = f"http://127.0.0.1:{collector.http_port}/api/v2/spans"
        subprocess.run(["node", "-e", ZIPKIN_JS, endpoint], cwd=tmp_path, check=True, timeout=60)
        eventually(lambda: query(data, "SELECT * FROM requests"))
    [row] = query(data, "SELECT * FROM requests")
    assert (row["status_code"], row["method"], row["path"]) == (503, "GET", "/items")
    [span] = query(data, "SELECT * FROM spans")
    assert (span["service_name"], span["kind"]) == ("shop-js", "SERVER")
    started = span["time"]
    assert abs(started.timestamp() - time.time()) < 600  # type: ignore[attr-defined]
