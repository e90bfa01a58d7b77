"""A real nginx, its own logs in each form we document, and what curl asked of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from collector.gateways.nginx import SNIPPET
from collector.importer import import_files
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.collector.core.doors import eventually, open_collector, query
from tests.collector.gateways.peers import free_ports, from_debian, running

pytestmark = [pytest.mark.peer, pytest.mark.timeout(400)]

JSON = (
    '{"msec":"$msec","request_method":"$request_method","request_uri":"$request_uri",'
    '"status":"$status","body_bytes_sent":"$body_bytes_sent","request_time":"$request_time",'
    '"upstream_response_time":"$upstream_response_time","http_host":"$http_host",'
    '"http_user_agent":"$http_user_agent","remote_addr":"$remote_addr","request_id":"$request_id"}'
)

CONFIG = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {snippet}
  log_format lines escape=json '{json}';
  limit_req_zone $binary_remote_addr zone=few:1m rate=1r/m;
  upstream behind {{ server 127.0.0.1:{inner}; }}
  server {{
    listen 127.0.0.1:{outer};
    access_log {folder}/combined.log combined;
    access_log {folder}/timed.log timed;
    access_log syslog:server=127.0.0.1:{heard} combined;
    access_log {folder}/lines.log lines;
    location / {{ proxy_pass http://behind; }}
    location /missing {{ return 404; }}
    location /limited {{ limit_req zone=few; limit_req_status 429; proxy_pass http://behind; }}
  }}
  server {{
    listen 127.0.0.1:{inner};
    access_log off;
    location / {{ return 200 "hello\\n"; }}
    location /broken {{ return 503; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, heard: int = 9) -> Iterator[str]:
    """An nginx with the documented format; it also sends syslog to the port `heard`."""
    program = from_debian("nginx", "nginx")
    outer, inner = free_ports(2)
    snippet = SNIPPET.replace("/var/log/nginx/access.log", str(folder / "snippet.log"))
    config = folder / "nginx.conf"
    config.write_text(
        CONFIG.format(
            folder=folder, snippet=snippet, json=JSON, outer=outer, inner=inner, heard=heard
        )
    )
    command = [program, "-p", folder, "-e", folder / "error.log", "-c", config]
    with running(command, outer, folder / "nginx.out"):
        yield f"http://127.0.0.1:{outer}"


def ask(url: str) -> list[tuple[str, str, int, int]]:
    """Requests, and for each (method, path, status, body bytes) as the client saw them."""
    seen = []
    with httpx.Client(headers={"user-agent": 'odd "agent" \\ é'.encode()}) as client:
        for method, path in [
            ("GET", "/orders/17?token=s3cret"), ("POST", "/orders"), ("GET", "/missing"),
            ("GET", "/broken"), ("DELETE", "/orders/18"), ("GET", "/caf%C3%A9/%22x%22"),
            ("GET", "/limited"), ("GET", "/limited"),
        ]:  # fmt: skip
            answer = client.request(method, url + path)
            seen.append((method, path.partition("?")[0], answer.status_code, len(answer.content)))
    return seen


@pytest.mark.parametrize("name", ["combined.log", "timed.log", "lines.log"])
def test_rows_are_what_the_client_saw(tmp_path: Path, name: str) -> None:
    with nginx(tmp_path) as url:
        seen = ask(url)
    storage = StorageSettings(data_dir=tmp_path / "data")
    report = import_files("nginx", [tmp_path / name], storage=storage)
    assert (report.stored, report.rejected) == (len(seen), 0)
    rows = ReadSession(Lake(storage)).query("SELECT * FROM requests").to_pylist()
    found = [(r["method"], r["path"], r["status_code"], r["response_bytes"]) for r in rows]
    assert sorted(found) == sorted(seen)
    assert {r["user_agent"] for r in rows} == {'odd "agent" \\ é'}
    outcomes = {(r["path"], r["status_code"]): r["outcome"] for r in rows}
    assert outcomes[("/limited", 429)] == "rate_limited"
    assert outcomes[("/broken", 503)] == "server_error"
    assert "s3cret" not in repr(rows)
    if name != "combined.log":
        proxied = [r for r in rows if r["path"].startswith("/orders")]
        assert all(0 <= r["upstream_ms"] <= r["duration_ms"] + 1 for r in proxied)
        assert all(len(r["request_id"]) == 32 for r in rows)
    assert import_files("nginx", [tmp_path / name], storage=storage).stored == 0


def test_its_syslog_gives_the_rows_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    listeners = ("syslog+udp://127.0.0.1:0?format=nginx",)
    with (
        open_collector(data, listeners=listeners) as collector,
        nginx(tmp_path, collector.background.ports[0]) as url,
    ):
        seen = ask(url)
        eventually(lambda: len(query(data, "SELECT 1 FROM requests")) >= len(seen), 30)
    rows = query(data, "SELECT * FROM requests")
    found = [(r["method"], r["path"], r["status_code"], r["response_bytes"]) for r in rows]
    assert sorted(map(repr, found)) == sorted(map(repr, seen))
    assert {r["user_agent"] for r in rows} == {'odd "agent" \\ é'}
    assert "s3cret" not in repr(rows)
