"""Scrapes and probes of a real HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from collector.errors import CollectorStartError
from collector.receivers import watcher
from collector.receivers.watch_file import read_watch_file
from tests.collector.core.doors import eventually, open_collector, query

PAGES = {
    "/metrics": (200, b"# TYPE jobs_total counter\njobs_total 5\ndepth 2\n"),
    "/broken": (200, b'fine 1\nbroken{a="b 2\n'),
    "/health": (200, b'{"status":"UP"}'),
    "/down": (503, b'{"status":"DOWN"}'),
    "/huge": (200, b"x" * 5000),
}


class Target(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            self.server.stopping.wait(5)  # type: ignore[attr-defined]
        status, body = PAGES.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def target() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    server.stopping = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.stopping.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def test_targets_and_endpoints_become_metrics(
    target: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "WATCH_BODY_BYTES_MAX", 4000)
    base = f"http://127.0.0.1:{target}"
    names = ("health", "down", "slow", "huge")
    probes = [
        f"  - {{name: {n}, url: '{base}/{n}', interval_s: 1.5, "
        f"timeout_s: {0.2 if n == 'slow' else 1.5}}}"
        for n in names
    ]
    probes.append(f"  - {{name: wrong, url: '{base}/health', expect: DOWN, interval_s: 1.5,"
                  " timeout_s: 1.5}")  # fmt: skip
    probes.append("  - {name: nobody, url: 'http://127.0.0.1:1/', interval_s: 0.3, timeout_s: 0.2}")
    file = tmp_path / "watch.yaml"
    file.write_text(
        "scrapes:\n"
        f"  - {{job: shop, targets: ['127.0.0.1:{target}', '{base}/broken'], interval_s: 0.3,"
        " timeout_s: 0.2, labels: {dc: eu}}\n"
        "probes:\n" + "\n".join(probes) + "\n"
    )
    up_sql = "SELECT service_name, value, exemplars FROM metrics WHERE name = 'gatelens.probe.up'"
    scraped_sql = "SELECT * FROM metrics WHERE name = 'jobs_total'"
    with open_collector(tmp_path / "data", watch_file=file):
        eventually(lambda: len({r["service_name"] for r in query(tmp_path / "data", up_sql)}) == 6)
        eventually(lambda: query(tmp_path / "data", scraped_sql))
        eventually(lambda: query(tmp_path / "data", "SELECT * FROM rejects"))
    up = {row["service_name"]: row for row in query(tmp_path / "data", up_sql)}
    assert {name for name, row in up.items() if row["value"] == 1} == {"health"}
    reasons = {name: dict(row["exemplars"][0]["attributes"])["error.type"]
               for name, row in up.items() if row["value"] == 0}  # fmt: skip
    assert reasons == {
        "down": "status_503", "slow": "timeout", "huge": "too_large",
        "wrong": "unexpected_body", "nobody": "connect",
    }  # fmt: skip
    [row] = query(tmp_path / "data", f"{scraped_sql} LIMIT 1")
    assert (row["type"], row["value"], row["service_name"]) == ("sum", 5.0, "shop")
    assert dict(row["attributes"]) == {"dc": "eu"}
    scrapes = query(tmp_path / "data", "SELECT DISTINCT value FROM metrics WHERE name = 'up'")
    assert {r["value"] for r in scrapes} == {0.0, 1.0}, "the page that cannot be read is not up"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("scrapes: [{job: x}]", "scrapes.0.targets"),
        ("probes: [{name: x, url: 'ftp://h'}]", "probes.0.url"),
        ("probes: [{name: x, url: 'http://h', timeout_s: 50, interval_s: 30}]", "timeout_s"),
        ("nonsense: 1", "nonsense"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_wrong_watch_file_is_told_in_one_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "watch.yaml"
    file.write_text(text)
    with pytest.raises(CollectorStartError, match=sentence):
        read_watch_file(file)
    with pytest.raises(CollectorStartError, match="cannot be read"):
        read_watch_file(tmp_path / "missing.yaml")
