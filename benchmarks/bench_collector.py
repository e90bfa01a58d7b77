"""Collector under load: records a second and server CPU-seconds per million records.

    python -m benchmarks.bench_collector [--seconds 5] [--signals spans,logs] [--batches 1000] ...

Bodies are encoded before the run; every request differs from the others (a counter in a resource
attribute), so duplicate recognition works as in real use. The sender is wrk, or for gRPC a process
of its own on the C core; server and sender are pinned to different processors. After each run the
lake is counted: every acknowledged record must be there, else the figure is not printed.
CPU-seconds are the server's own (user + system), all of its threads, Parquet in the lake included.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

MARK = "0123456789abcdef"
"""Sixteen bytes of every body that the sender replaces by a counter."""

PATHS = {"spans": "/v1/traces", "logs": "/v1/logs", "metrics": "/v1/metrics"}
METHODS = {
    "spans": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}

SERVER = """
import sys
from pathlib import Path
from collector.main import run
from collector.settings import CollectorSettings
from storage.settings import StorageSettings
http, grpc, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
run(CollectorSettings(http_port=http, grpc_port=grpc), StorageSettings(data_dir=folder), None)
"""

WRK = """
local file = io.open("{body}", "rb")
local bodies = {}
for _, size in ipairs({{sizes}}) do
  local body = file:read(size)
  bodies[#bodies + 1] = {body:sub(1, {at}), body:sub({at} + 17)}
end
local counter = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-protobuf"
function request()
  counter = counter + 1
  local body = bodies[counter % #bodies + 1]
  local mark = string.format("%08x%08x", {id}, counter)
  return wrk.format(nil, nil, nil, body[1] .. mark .. body[2])
end
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


WRK_ZIPPED = """
local file = io.open("{body}", "rb")
local bodies = {}
for _, size in ipairs({{sizes}}) do bodies[#bodies + 1] = file:read(size) end
local counter = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-protobuf"
wrk.headers["Content-Encoding"] = "gzip"
function request()
  counter = counter + 1
  return wrk.format(nil, nil, nil, bodies[counter % #bodies + 1])
end
""" + WRK[WRK.index("function done") :]


CORPUS_BYTES = 16_000_000
"""Different bodies are made up to this size, then sent over and over with new counters: ids and
paths repeat seldom enough for dictionaries and compression to work as in real use."""


def corpus(signal: str, count: int) -> list[bytes]:
    first = body_of(signal, count)
    more = min(64, CORPUS_BYTES // len(first))
    return [first, *(body_of(signal, count, seed) for seed in range(1, max(2, more)))]


def body_of(signal: str, count: int, seed: int = 0) -> bytes:
    """A request of `count` records: spans of about 400 B with 10 attributes, logs of 300 B to 2 KB,
    histograms with 12 buckets."""
    rng = random.Random(seed)
    now = time.time_ns()
    if signal == "spans":
        traces = ExportTraceServiceRequest()
        resource = traces.resource_spans.add()
        spans = resource.scope_spans.add().spans
    elif signal == "logs":
        logs = ExportLogsServiceRequest()
        resource = logs.resource_logs.add()
        records = resource.scope_logs.add().log_records
    else:
        metrics = ExportMetricsServiceRequest()
        resource = metrics.resource_metrics.add()
        points = resource.scope_metrics.add().metrics.add(name="http.server.request.duration")
        points.histogram.aggregation_temporality = 2
    _put(resource.resource.attributes, {"service.name": "checkout", "service.instance.id": MARK})
    for number in range(count):
        start = now - rng.randrange(10**9)
        common = {
            "http.request.method": rng.choice(["GET", "POST"]),
            "http.route": f"/v1/orders/{{id}}/items/{rng.randrange(20)}",
            "http.response.status_code": rng.choice([200, 200, 200, 201, 404, 500]),
        }
        if signal == "spans":
            span = spans.add(
                trace_id=rng.randbytes(16),
                span_id=rng.randbytes(8),
                parent_span_id=rng.randbytes(8),
                name="GET /v1/orders/{id}",
                kind=rng.choice([2, 2, 3]),
                start_time_unix_nano=start,
                end_time_unix_nano=start + rng.randrange(10**8),
            )
            more = {
                "url.path": f"/v1/orders/{rng.randrange(10**6)}/items",
                "server.address": "orders.shop.example",
                "server.port": 8443,
                "client.address": f"192.0.2.{rng.randrange(256)}",
                "user_agent.original": "shop-mobile/4.1 (Android 14)",
                "network.protocol.version": "1.1",
                "app.tenant": rng.choice(["a", "b", "c"]),
            }
            _put(span.attributes, common | more)
        elif signal == "logs":
            record = records.add(
                time_unix_nano=start, severity_number=9, severity_text="INFO",
                trace_id=rng.randbytes(16), span_id=rng.randbytes(8),
            )  # fmt: skip
            record.body.string_value = f"order {number} was placed " * rng.randrange(5, 90)
            _put(record.attributes, common)
        else:
            point = points.histogram.data_points.add(
                start_time_unix_nano=start, time_unix_nano=now, count=100, sum=rng.random(),
                bucket_counts=[rng.randrange(50) for _ in range(12)],
                explicit_bounds=[0.005 * 2**i for i in range(11)],
            )  # fmt: skip
            _put(point.attributes, common | {"series": number})
    request = traces if signal == "spans" else logs if signal == "logs" else metrics
    return bytes(request.SerializeToString())


def _put(attributes: object, values: dict[str, object]) -> None:
    for key, value in values.items():
        attribute = attributes.add(key=key)  # type: ignore[attr-defined]
        if isinstance(value, int):
            attribute.value.int_value = value
        else:
            attribute.value.string_value = value


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    http: int
    grpc: int
    folder: Path

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_rss_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+)", text)
        return int(found.group(1)) / 1024 if found else float("nan")

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics") as answer:
            text = answer.read().decode()
        return sum(float(v) for v in re.findall(rf"^{name}(?:\{{.*?\}})? (\S+)$", text, re.M))


@contextmanager
def serve(folder: Path, cpu: str | None) -> Iterator[Server]:
    from socket import socket

    ports = []
    for _ in range(2):
        with socket() as sock:
            sock.bind(("127.0.0.1", 0))
            ports.append(sock.getsockname()[1])
    pin = ["taskset", "-c", cpu] if cpu else []
    log = (folder.parent / "server.log").open("wb")
    process = subprocess.Popen(
        [*pin, sys.executable, "-c", SERVER, *map(str, ports), str(folder)], stdout=log, stderr=log
    )
    server = Server(process, *ports, folder)
    try:
        for _ in range(600):
            try:
                server.metric("x")
                break
            except OSError:
                time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(20)


@dataclass
class Load:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int


def _write_zipped(file: Path, bodies: list[bytes], at: int, seconds: int) -> str:
    """Many bodies compressed into one file; their sizes, for Lua."""
    count = max(20, seconds * 250_000_000 // (len(bodies[0]) * 2))
    rng = random.Random()
    sizes = []
    with file.open("wb") as out:
        for number in range(count):
            body = bodies[number % len(bodies)]
            marked = body[:at] + b"%016x" % rng.getrandbits(64) + body[at + 16 :]
            sizes.append(out.write(gzip.compress(marked, 1)))
    return ",".join(map(str, sizes))


def send_http(
    server: Server,
    signal: str,
    bodies: list[bytes],
    seconds: int,
    connections: int,
    zip_: bool,
    cpu: str,
) -> Load:
    folder = server.folder.parent
    file, script = folder / "body", folder / "wrk.lua"
    at = bodies[0].index(MARK.encode())
    assert all(body.index(MARK.encode()) == at for body in bodies)
    if zip_:
        # wrk cannot compress: enough different bodies are made beforehand. Should they run out,
        # they are sent again, recognised, and not counted.
        text = WRK_ZIPPED.replace("{sizes}", _write_zipped(file, bodies, at, seconds))
    else:
        file.write_bytes(b"".join(bodies))
        text = WRK.replace("{at}", str(at)).replace("{id}", str(random.getrandbits(31)))
        text = text.replace("{sizes}", ",".join(str(len(body)) for body in bodies))
    script.write_text(text.replace("{body}", str(file)))
    url = f"http://127.0.0.1:{server.http}{PATHS[signal]}"
    out = subprocess.run(
        ["taskset", "-c", cpu, "wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", script, url],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", out)
    assert found, out
    n, us, p50, p99, refused, broken = map(int, found.groups())
    return Load(n, us / 1e6, p50 / 1e3, p99 / 1e3, refused, broken)


GRPC_SENDER = """
import sys, time, json, grpc
from concurrent.futures import ThreadPoolExecutor
port, method, file, seconds, threads, compress, at, sizes = sys.argv[1:9]
at, source = int(at), open(file, "rb")
bodies = [source.read(size) for size in json.loads(sizes)]
run = int(time.time() * 1000) & 0xffffff
zip_ = grpc.Compression.Gzip if compress == "1" else grpc.Compression.NoCompression
end = time.time() + float(seconds)
def work(n):
    times = []; bad = 0; i = 0
    own = [("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.insecure_channel("127.0.0.1:" + port, options=own)
    call = channel.unary_unary(method)
    while time.time() < end:
        i += 1
        started = time.perf_counter()
        try:
            body = bodies[i % len(bodies)]
            mark = b"%02x%06x%08x" % (n, run, i)
            call(body[:at] + mark + body[at + 16:], compression=zip_)
            times.append(time.perf_counter() - started)
        except grpc.RpcError:
            bad += 1
    return times, bad
started = time.time()
with ThreadPoolExecutor(int(threads)) as pool:
    found = list(pool.map(work, range(int(threads))))
times = sorted(t for f in found for t in f[0])
print(json.dumps([len(times), time.time() - started, times[len(times)//2] * 1e3,
                  times[int(len(times) * 0.99)] * 1e3, sum(f[1] for f in found)]))
"""


def send_grpc(
    server: Server,
    signal: str,
    bodies: list[bytes],
    seconds: int,
    connections: int,
    zip_: bool,
    cpu: str,
) -> Load:
    file = server.folder.parent / "body"
    at = bodies[0].index(MARK.encode())
    file.write_bytes(b"".join(bodies))
    out = subprocess.run(
        ["taskset", "-c", cpu, sys.executable, "-c", GRPC_SENDER, str(server.grpc),
         METHODS[signal], file, str(seconds), str(connections), "1" if zip_ else "0",
         str(at), json.dumps([len(body) for body in bodies])],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    n, s, p50, p99, refused = json.loads(out)
    return Load(n, s, p50, p99, refused, 0)


def run_one(args: argparse.Namespace, transport: str, signal: str, batch: int, zip_: bool) -> None:
    bodies = corpus(signal, batch)
    send = send_http if transport == "http" else send_grpc
    with tempfile.TemporaryDirectory(prefix="gatelens-bench-", dir=args.folder) as name:
        folder = Path(name) / "data"
        with serve(folder, args.server_cpu) as server:
            send(server, signal, bodies, 1, args.connections, zip_, args.sender_cpu)
            before = server.cpu_s()
            stored = server.metric("gatelens_collector_records_stored_total")
            load = send(
                server, signal, bodies, args.seconds, args.connections, zip_, args.sender_cpu
            )
            sent_at = time.time()
            while server.metric("gatelens_collector_wal_lag_requests"):
                time.sleep(0.05)
            lag_s = time.time() - sent_at
            cpu_s = server.cpu_s() - before
            stored = server.metric("gatelens_collector_records_stored_total") - stored
            accepted = server.metric("gatelens_collector_records_accepted_total")
            rss = server.peak_rss_mb()
        lake = Lake(StorageSettings(data_dir=folder))
        rows = ReadSession(lake).query(f"SELECT count(*) n FROM {signal}")["n"][0].as_py()
        assert rows == accepted, f"{rows} rows, {accepted} records acknowledged"
        assert load.refused + load.broken == 0, load
    print(
        f"{transport:5} {signal:8} {batch:6} {'gzip' if zip_ else 'none':5} "
        f"{len(bodies[0]) / batch:7.0f} {stored / load.seconds:10,.0f} "
        f"{cpu_s / stored * 1e6:8.2f} {load.p50_ms:8.1f} {load.p99_ms:8.1f} "
        f"{rss:7.0f} {lag_s:6.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--signals", default="spans,logs,metrics")
    parser.add_argument("--batches", default="100,1000,8000")
    parser.add_argument("--zip", default="none,gzip")
    parser.add_argument("--transports", default="http,grpc")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--server-cpu", default="0")
    parser.add_argument("--sender-cpu", default="1")
    parser.add_argument("--folder", default=None, help="where data is written; default: TMPDIR")
    args = parser.parse_args()
    packages = ("uvicorn", "httptools", "grpcio", "numba", "pyarrow")
    print(f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    print(", ".join(f"{p} {version(p)}" for p in packages), f"load {os.getloadavg()[0]:.1f}")
    print(
        "door  signal    batch zip     B/rec  records/s  CPU s/M   p50 ms   p99 ms  RSS MB  lag s"
    )
    for transport in args.transports.split(","):
        for signal in args.signals.split(","):
            for batch in map(int, args.batches.split(",")):
                for zip_ in args.zip.split(","):
                    run_one(args, transport, signal, batch, zip_=zip_ == "gzip")


if __name__ == "__main__":
    main()
