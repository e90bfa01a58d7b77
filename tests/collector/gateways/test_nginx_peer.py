"""A real nginx, its own logs in each form we document, and what curl asked of it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from collector.importer import import_files
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

TIMED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" $request_length $request_time [$proxy_host] [] '
    "$upstream_addr $upstream_response_length $upstream_response_time $upstream_status $request_id"
)
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
  log_format timed '{timed}';
  log_format lines escape=json '{json}';
  limit_req_zone $binary_remote_addr zone=few:1m rate=1r/m;
  upstream behind {{ server 127.0.0.1:{inner}; }}
  server {{
    listen 127.0.0.1:{outer};
    access_log {folder}/combined.log combined;
    access_log {folder}/timed.log timed;
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


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[str]:
    outer, inner = free_ports(2)
    config = tmp_path / "nginx.conf"
    config.write_text(
        CONFIG.format(folder=tmp_path, timed=TIMED, json=JSON, outer=outer, inner=inner)
    )
    process = subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(config)])
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", outer), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "nginx did not start"
                assert time.monotonic() < deadline, "nginx does not listen"
                time.sleep(0.05)
        yield f"http://127.0.0.1:{outer}"
    finally:
        process.terminate()
        process.wait(10)


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
def test_rows_are_what_the_client_saw(nginx: str, tmp_path: Path, name: str) -> None:
    seen = ask(nginx)
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
