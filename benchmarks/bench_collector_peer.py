"""The same load on an OpenTelemetry Collector (Go): OTLP receiver -> batch -> file or nothing.

    python -m benchmarks.bench_collector_peer --binary dist/otelcol-bench [--seconds 5]

Build the binary with the collector's builder from otlpreceiver, batchprocessor, fileexporter and
nopexporter. It answers from memory: nothing is on disk when a sender hears 200, and the file has
protobuf as it came, no columns. So it does less; its figure is what receiving alone costs in Go.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

from benchmarks.bench_collector import Server, send_grpc, send_http
from benchmarks.collector_corpus import corpus

EXPORTERS: dict[str, dict[str, object]] = {
    "nop": {"nop": None},
    "file": {"file": {"path": "FOLDER/out.pb", "format": "proto"}},
}


@contextmanager
def serve_peer(binary: str, exporter: str, folder: Path, cpu: str) -> Iterator[Server]:
    ports = []
    for _ in range(2):
        with socket() as sock:
            sock.bind(("127.0.0.1", 0))
            ports.append(sock.getsockname()[1])
    http, grpc = ports
    endpoints = {
        name: {"endpoint": f"127.0.0.1:{port}", "max_recv_msg_size_mib": 64}
        if name == "grpc"
        else {"endpoint": f"127.0.0.1:{port}", "max_request_body_size": 64 * 1024 * 1024}
        for name, port in (("http", http), ("grpc", grpc))
    }
    settings = {
        "receivers": {"otlp": {"protocols": endpoints}},
        "processors": {"batch": {"send_batch_size": 8192, "timeout": "1s"}},
        "exporters": EXPORTERS[exporter],
        "service": {
            "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "error"}},
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"], "processors": ["batch"], "exporters": [exporter],
                }
            },
        },
    }  # fmt: skip
    config = folder.parent / "peer.json"
    config.write_text(json.dumps(settings).replace("FOLDER", str(folder.parent)))
    log = (folder.parent / "peer.log").open("wb")
    process = subprocess.Popen(
        ["taskset", "-c", cpu, binary, "--config", str(config)],
        stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "1"},
    )  # fmt: skip
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{http}/")
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
        yield Server(process, http, grpc, folder)
    finally:
        process.terminate()
        process.wait(20)


def run_one(args: argparse.Namespace, exporter: str, transport: str, zip_: bool) -> None:
    bodies = corpus("spans", args.batch)
    send = send_http if transport == "http" else send_grpc
    with (
        tempfile.TemporaryDirectory(prefix="gatelens-peer-") as name,
        serve_peer(args.binary, exporter, Path(name) / "data", args.server_cpu) as server,
    ):
        send(server, "spans", bodies, 1, args.connections, zip_, args.sender_cpu)
        before = server.cpu_s()
        load = send(server, "spans", bodies, args.seconds, args.connections, zip_, args.sender_cpu)
        time.sleep(2)
        cpu_s = server.cpu_s() - before
        rss = server.peak_rss_mb()
    spans = load.requests * args.batch
    assert load.refused + load.broken == 0, load
    print(
        f"otelcol {exporter:5} {transport:5} {'gzip' if zip_ else 'none':5} "
        f"{spans / load.seconds:10,.0f} {cpu_s / spans * 1e6:8.2f} {load.p50_ms:8.1f} "
        f"{load.p99_ms:8.1f} {rss:7.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--server-cpu", default="0")
    parser.add_argument("--sender-cpu", default="1")
    args = parser.parse_args()
    print(subprocess.check_output(["go", "version", "-m", args.binary], text=True).split("\n")[0])
    print("peer          door  zip   records/s  CPU s/M   p50 ms   p99 ms  RSS MB")
    for exporter in EXPORTERS:
        for transport in ("http", "grpc"):
            for zip_ in (False, True):
                run_one(args, exporter, transport, zip_)


if __name__ == "__main__":
    main()
