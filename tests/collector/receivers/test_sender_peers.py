"""Real senders of logs: Debian's rsyslog, Elastic's Python client, Loki's and Splunk's from npm.

Each sends here as it sends to the system it is made for; fetched, or skipped with the reason.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collector.core.doors import eventually, open_collector, query
from tests.collector.gateways.peers import from_debian
from tests.collector.receivers.test_peers import fetch, running

pytestmark = [pytest.mark.peer, pytest.mark.timeout(400)]

RSYSLOG_PACKAGES = (
    "rsyslog", "rsyslog-elasticsearch", "libestr0", "libfastjson4", "liblognorm5",
)  # fmt: skip

RSYSLOG = """\
global(workDirectory="{folder}" processInternalMessages="off")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/log" CreatePath="on")
module(load="omelasticsearch")
template(name="document" type="list" option.json="on") {{
  constant(value="{{\\"@timestamp\\":\\"") property(name="timereported" dateFormat="rfc3339")
  constant(value="\\",\\"message\\":\\"") property(name="msg")
  constant(value="\\",\\"host\\":\\"") property(name="hostname") constant(value="\\"}}")
}}
if $msg contains "bulk" then {{
  action(type="omelasticsearch" server="127.0.0.1" serverport="{http}" template="document"
         bulkmode="on" searchIndex="shop" searchType="")
}} else {{
  action(type="omfwd" target="127.0.0.1" port="{octets}" protocol="tcp" TCP_Framing="octet-counted"
         template="RSYSLOG_SyslogProtocol23Format")
  action(type="omfwd" target="127.0.0.1" port="{datagrams}" protocol="udp"
         template="RSYSLOG_TraditionalForwardFormat")
}}
"""


def say(path: Path, text: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(str(path))
        sock.send(f"<134>Nov 27 10:00:00 shop[42]: {text}".encode())


def test_rsyslog_forwards_and_bulk_indexes(tmp_path: Path) -> None:
    program = from_debian("rsyslogd", *RSYSLOG_PACKAGES)
    root = program.parent if program.name.startswith("start-") else Path("/")
    [modules] = root.glob("usr/lib/*/rsyslog")
    data, folder = tmp_path / "data", tmp_path / "rs"
    folder.mkdir()
    listeners = ("syslog+tcp://127.0.0.1:0", "syslog+udp://127.0.0.1:0")
    with open_collector(data, listeners=listeners) as collector:
        octets, datagrams = collector.background.ports
        config = folder / "rsyslog.conf"
        config.write_text(
            RSYSLOG.format(
                folder=folder, http=collector.http_port, octets=octets, datagrams=datagrams
            )
        )
        command = (str(program), "-n", "-f", str(config), "-i", str(folder / "pid"),
                   "-M", str(modules))  # fmt: skip
        with running(*command, cwd=folder):
            eventually(lambda: (folder / "log").exists(), timeout_s=60)
            for number in range(20):
                say(folder / "log", f"forwarded {number}")
                say(folder / "log", f"bulk {number}")
            eventually(lambda: len(query(data, "SELECT 1 FROM logs")) >= 60, timeout_s=60)
    found = query(data, "SELECT trim(body) AS body, count(*) AS n FROM logs GROUP BY 1")
    assert {r["body"]: r["n"] for r in found} == {
        **{f"forwarded {n}": 2 for n in range(20)}, **{f"bulk {n}": 1 for n in range(20)},
    }  # fmt: skip
    assert not query(data, "SELECT * FROM rejects")


ELASTIC = """
import sys
from elasticsearch import Elasticsearch, helpers
client = Elasticsearch(sys.argv[1])
assert client.info()["version"]["number"]
def documents():
    for n in range(500):
        yield {"_index": "shop", "_op_type": "create",
               "@timestamp": "2026-11-27T10:00:00.250Z", "message": f"order {n}",
               "service": {"name": "orders"}, "log": {"level": "warn"}}
done, errors = helpers.bulk(client, documents(), chunk_size=100)
assert (done, errors) == (500, []), errors
"""


def test_elastics_own_client_indexes_in_bulk(tmp_path: Path) -> None:
    fetch("Elastic's client", sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    python = str(tmp_path / "venv/bin/python")
    fetch("Elastic's client", python, "-m", "pip", "install", "-q", "elasticsearch", cwd=tmp_path)
    data = tmp_path / "data"
    with open_collector(data) as collector:
        url = f"http://127.0.0.1:{collector.http_port}"
        done = subprocess.run(
            [python, "-c", ELASTIC, url], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        eventually(lambda: len(query(data, "SELECT 1 FROM logs")) >= 500, timeout_s=30)
    rows = query(data, "SELECT DISTINCT service_name, severity_text, body FROM logs")
    assert len(rows) == 500
    assert {(r["service_name"], r["severity_text"]) for r in rows} == {("orders", "warn")}


LOKI_JS = """
const winston = require('winston'), Loki = require('winston-loki');
const [host, json] = process.argv.slice(1);
const logger = winston.createLogger({level: 'debug', format: winston.format.json(), transports: [
  new Loki({host, json: json === 'json', labels: {service_name: 'orders-js'}, interval: 1,
            onConnectionError: (e) => { console.error(e); process.exit(3); }})]});
for (let n = 0; n < 100; n++) logger.warn('order ' + n);
setTimeout(() => process.exit(0), 4000);
"""


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_npms_loki_client_pushes(tmp_path: Path, encoding: str) -> None:
    fetch("npm's winston-loki", "npm", "install", "--no-audit", "--no-fund", "--prefix", ".",
          "winston@3", "winston-loki@6", cwd=tmp_path)  # fmt: skip
    data = tmp_path / "data"
    with open_collector(data) as collector:
        host = f"http://127.0.0.1:{collector.http_port}"
        done = subprocess.run(
            ["node", "-e", LOKI_JS, host, encoding], cwd=tmp_path, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        eventually(lambda: len(query(data, "SELECT 1 FROM logs")) >= 100, timeout_s=30)
    rows = query(data, "SELECT service_name, body FROM logs")
    assert len(rows) == 100
    assert {r["service_name"] for r in rows} == {"orders-js"}
    assert {said(str(r["body"])) for r in rows} == {f"order {n}" for n in range(100)}


def said(body: str) -> str:
    """winston-loki writes the message, then an object with the rest."""
    return body.partition(" {")[0].strip()


SPLUNK_JS = """
const {Logger} = require('splunk-logging');
const logger = new Logger({token: 'any', url: process.argv[1], maxBatchCount: 25});
logger.error = (err) => { console.error(err); process.exit(3); };
for (let n = 0; n < 100; n++) logger.send({
  message: 'order ' + n, severity: 'warn',
  metadata: {source: 'shop', sourcetype: 'orders', host: 'a', time: 1795773600.25}});
setTimeout(() => process.exit(0), 2500);
"""


def test_splunks_own_client_sends_events(tmp_path: Path) -> None:
    fetch("npm's splunk-logging", "npm", "install", "--no-audit", "--no-fund", "--prefix", ".",
          "splunk-logging@0.11", cwd=tmp_path)  # fmt: skip
    data = tmp_path / "data"
    with open_collector(data) as collector:
        url = f"http://127.0.0.1:{collector.http_port}"
        done = subprocess.run(
            ["node", "-e", SPLUNK_JS, url], cwd=tmp_path, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        eventually(lambda: len(query(data, "SELECT 1 FROM logs")) >= 100, timeout_s=30)
    rows = query(data, "SELECT body, time, severity_text FROM logs")
    assert len(rows) == 100
    assert {r["body"] for r in rows} == {f"order {n}" for n in range(100)}
    assert {r["severity_text"] for r in rows} == {"warn"}
    assert {r["time"].isoformat()[:19] for r in rows} == {"2026-11-27T10:00:00"}  # type: ignore[attr-defined]
