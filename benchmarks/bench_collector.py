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
from dataclasses import astuple, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.collector_corpus import MARK, corpus
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

PATHS = {
    "spans": "/v1/traces", "metrics": "/v1/metrics",
    "logs": "/v1/logs", "logs-300": "/v1/logs", "logs-2k": "/v1/logs",
}  # fmt: skip
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
local bit = require("bit")
local file = io.open("{body}", "rb")
local bodies = {}
for _, size in ipairs({{sizes}}) do bodies[#bodies + 1] = file:read(size) end
local counter = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-protobuf"
wrk.headers["Content-Encoding"] = "gzip"
local function le(number, bytes)
  local found = ""
  for _ = 1, bytes do
    found = found .. string.char(bit.band(number, 255))
    number = bit.rshift(number, 8)
  end
  return found
end
local function crc32(text)
  local crc = -1
  for at = 1, #text do
    crc = bit.bxor(crc, text:byte(at))
    for _ = 1, 8 do
      crc = bit.bxor(bit.rshift(crc, 1), bit.band(0xEDB88320, -bit.band(crc, 1)))
    end
  end
  return bit.bnot(crc)
end
-- A second member, not compressed: an unknown field that makes the body differ from all others.
local function member(text)
  return "\\31\\139\\8\\0\\0\\0\\0\\0\\0\\255\\1" .. le(#text, 2) .. le(bit.bnot(#text), 2) .. text
    .. le(crc32(text), 4) .. le(#text, 4)
end
function request()
  counter = counter + 1
  local mark = string.format("%08x%08x", {id}, counter)
  return wrk.format(nil, nil, nil, bodies[counter % #bodies + 1] .. member("\\122\\16" .. mark))
end
""" + WRK[WRK.index("function done") :]


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

    def settle(self) -> None:
        """Wait until everything acknowledged is in the lake. Asks seldom: answering is counted as
        the server's work, and counts for much where a slow sender brought few records."""
        while self.metric("gatelens_collector_wal_lag_requests"):
            time.sleep(0.25)

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics") as answer:
            text = answer.read().decode()
        return sum(float(v) for v in re.findall(rf"^{name}(?:\{{.*?\}})? (\S+)$", text, re.M))


@contextmanager
def serve(folder: Path, cpu: str | None) -> Iterator[Server]:
    from socket import socket

    with socket() as http, socket() as grpc:
        for sock in (http, grpc):
            sock.bind(("127.0.0.1", 0))
        ports: tuple[int, int] = (http.getsockname()[1], grpc.getsockname()[1])
    pin = ["taskset", "-c", cpu] if cpu else []
    log = (folder.parent / "server.log").open("wb")
    process = subprocess.Popen(
        [*pin, sys.executable, "-c", SERVER, *map(str, ports), str(folder)], stdout=log, stderr=log
    )
    server = Server(process, *ports, folder)
    try:
        for _ in range(1800):  # a first start compiles its kernels
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


def send_http(
    server: Server,
    signal: str,
    bodies: list[bytes],
    seconds: int,
    connections: int,
    zip_: bool,
    cpu: str,
    delay_ms: int = 0,
) -> Load:
    """`delay_ms`: each connection's pause between an answer and its next request."""
    folder = server.folder.parent
    file, script = folder / "body", folder / "wrk.lua"
    at = bodies[0].index(MARK.encode())
    assert all(body.index(MARK.encode()) == at for body in bodies)
    if zip_:  # wrk cannot compress
        bodies = [gzip.compress(body, 1) for body in bodies]
    file.write_bytes(b"".join(bodies))
    text = (WRK_ZIPPED if zip_ else WRK).replace("{at}", str(at))
    text = text.replace("{id}", str(random.getrandbits(31)))
    text = text.replace("{sizes}", ",".join(str(len(body)) for body in bodies))
    if delay_ms:
        text += f"function delay() return {delay_ms} end\n"
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
         METHODS[signal.partition("-")[0]], file, str(seconds), str(connections),
         "1" if zip_ else "0",
         str(at), json.dumps([len(body) for body in bodies])],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    n, s, p50, p99, refused = json.loads(out)
    return Load(n, s, p50, p99, refused, 0)


@dataclass
class Figures:
    """One run, or the medians of several."""

    records_s: float
    cpu_s_per_million: float
    p50_ms: float
    p99_ms: float
    rss_mb: float
    lag_s: float


def measure(
    args: argparse.Namespace, transport: str, signal: str, batch: int, zip_: bool
) -> Figures:
    """One server, warmed up for a second, under load; every acknowledged record is counted."""
    bodies = corpus(signal, batch)
    send = send_http if transport == "http" else send_grpc
    with tempfile.TemporaryDirectory(prefix="gatelens-bench-", dir=args.folder) as name:
        folder = Path(name) / "data"
        with serve(folder, args.server_cpu) as server:
            send(server, signal, bodies, 1, args.connections, zip_, args.sender_cpu)
            server.settle()
            before = server.cpu_s()
            stored = server.metric("gatelens_collector_records_stored_total")
            load = send(
                server, signal, bodies, args.seconds, args.connections, zip_, args.sender_cpu
            )
            sent_at = time.time()
            server.settle()
            lag_s = time.time() - sent_at
            cpu_s = server.cpu_s() - before
            stored = server.metric("gatelens_collector_records_stored_total") - stored
            accepted = server.metric("gatelens_collector_records_accepted_total")
            rss = server.peak_rss_mb()
        lake = Lake(StorageSettings(data_dir=folder))
        table = signal.partition("-")[0]
        rows = ReadSession(lake).query(f"SELECT count(*) n FROM {table}")["n"][0].as_py()
        assert rows == accepted, f"{rows} rows, {accepted} records acknowledged"
        assert load.refused + load.broken == 0, load
    cpu_per_million = cpu_s / stored * 1e6
    return Figures(stored / load.seconds, cpu_per_million, load.p50_ms, load.p99_ms, rss, lag_s)


def run_one(args: argparse.Namespace, transport: str, signal: str, batch: int, zip_: bool) -> None:
    runs = [measure(args, transport, signal, batch, zip_) for _ in range(args.runs)]
    middle = Figures(*(median(values) for values in zip(*map(astuple, runs), strict=True)))
    size = len(corpus(signal, batch)[0]) / batch
    print(
        f"{transport:5} {signal:8} {batch:6} {'gzip' if zip_ else 'none':5} {size:7.0f} "
        f"{middle.records_s:10,.0f} {middle.cpu_s_per_million:8.2f} {middle.p50_ms:8.1f} "
        f"{middle.p99_ms:8.1f} {middle.rss_mb:7.0f} {middle.lag_s:6.1f}",
        flush=True,
    )


def run_light(args: argparse.Namespace) -> None:
    """What a sender and a reader notice when the server is not full."""
    with tempfile.TemporaryDirectory(prefix="gatelens-bench-", dir=args.folder) as name:
        folder = Path(name) / "data"
        with serve(folder, args.server_cpu) as server:
            few, many = corpus("spans", 512), corpus("spans", 1000)
            http = partial(send_http, server, "spans", zip_=False, cpu=args.sender_cpu)
            full = http(many, seconds=2, connections=8)
            server.settle()
            busy, started = server.cpu_s(), time.time()
            time.sleep(5)
            idle = (server.cpu_s() - busy) / (time.time() - started)
            print(f"idle: {100 * idle:.2f} % of a processor")
            one = http(few, seconds=args.seconds, connections=1, delay_ms=50)
            print(f"one client, batches of 512, pausing 50 ms: ack p50 {one.p50_ms:.1f} ms, "
                  f"p99 {one.p99_ms:.1f} ms")  # fmt: skip
            # An answer takes time, too: the first try says how much, the second is right.
            cycle_ms = 2 * 8 * 1000 * full.seconds / full.requests
            pause_ms = max(1, round(cycle_ms - full.p50_ms))
            tried = http(many, seconds=2, connections=8, delay_ms=pause_ms)
            took_ms = 8 * 1000 * tried.seconds / tried.requests
            pause_ms = max(1, round(pause_ms + cycle_ms - took_ms))
            half = http(many, seconds=args.seconds, connections=8, delay_ms=pause_ms)
            print(f"half of full load ({1000 * half.requests / half.seconds:,.0f} of "
                  f"{1000 * full.requests / full.seconds:,.0f} spans/s): ack p50 "
                  f"{half.p50_ms:.1f} ms, p99 {half.p99_ms:.1f} ms")  # fmt: skip
            server.settle()
            waits = sorted(_until_queryable(server, number) for number in range(20))
            print(f"acknowledged to queryable, 20 times: p50 {waits[9]:.2f} s, "
                  f"longest {waits[-1]:.2f} s")  # fmt: skip


def _until_queryable(server: Server, number: int) -> float:
    """Seconds from the answer to one request until its rows are in a snapshot of the lake."""
    table = Lake(StorageSettings(data_dir=server.folder)).table("spans")
    before = sum(entry.rows for entry in table.snapshot().files())
    mark = b"%016x" % random.getrandbits(64)
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http}/v1/traces",
        corpus("spans", 10)[0].replace(MARK.encode(), mark),
        {"Content-Type": "application/x-protobuf"},
    )
    urllib.request.urlopen(request).read()
    acknowledged = time.time()
    while sum(entry.rows for entry in table.snapshot().files()) == before:
        time.sleep(0.01)
    return time.time() - acknowledged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=1, help="print medians of so many runs")
    parser.add_argument("--light", action="store_true", help="latencies below full load, idle")
    parser.add_argument("--signals", default="spans,logs-300,logs-2k,metrics")
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
    if args.light:
        run_light(args)
        return
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
