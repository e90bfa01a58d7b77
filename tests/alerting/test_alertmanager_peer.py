"""A real Prometheus Alertmanager takes our alerts, and what it posts is what we post."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from alerting.channel import ChannelConfig
from alerting.channels import deliver_to
from alerting.notice import NO_END, decode_notice
from tests.alerting.world import LOOPBACK, Sink, World, make_world, running_sink

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

PROGRAM = "prometheus-alertmanager"
CONFIG = """
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""
RULES = """
rules:
  - name: errors
    measure: error_rate
    group_by: [api]
    condition: "> 5%"
    severity: critical
    runbook_url: https://wiki.example/errors
    annotations: {summary: "{api} fails {value}"}
"""


@pytest.fixture(scope="module")
def program() -> str:
    """Path of the Alertmanager; Debian's package is installed where that is possible."""
    if shutil.which(PROGRAM) is None and shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", PROGRAM]):
            subprocess.run(command, env=quiet, check=False, capture_output=True, timeout=240)
    found = shutil.which(PROGRAM) or shutil.which("alertmanager")
    if found is None:
        pytest.skip(
            f"NOT PROVEN HERE: {PROGRAM} is neither installed nor installable "
            "(needs Debian's package and root)"
        )
    return found


@dataclass
class Peer:
    """A running Alertmanager that posts to `theirs`; our own webhook posts to `ours`."""

    url: str
    ours: Sink
    theirs: Sink

    def alerts(self) -> list[dict]:
        return httpx.get(f"{self.url}/api/v2/alerts").json()


@pytest.fixture
def peer(program: str, tmp_path: Path) -> Iterator[Peer]:
    with running_sink() as ours, running_sink() as theirs:
        (tmp_path / "am.yml").write_text(CONFIG.format(url=theirs.url))
        port = _free_port()
        log = (tmp_path / "am.log").open("wb")
        process = subprocess.Popen(
            [
                program, f"--config.file={tmp_path / 'am.yml'}",
                f"--storage.path={tmp_path / 'am-data'}",
                f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        try:
            _until(lambda: httpx.get(f"{url}/-/ready").status_code == 200)
            yield Peer(url, ours, theirs)
        finally:
            process.terminate()
            process.wait(20)
            log.close()


@pytest.fixture
def world(peer: Peer, tmp_path: Path) -> Iterator[World]:
    """Rules that send to the Alertmanager and to our own webhook, by the real clock."""
    into = ChannelConfig("am", "alertmanager", url=peer.url, allow_networks=LOOPBACK)
    world = make_world(tmp_path, RULES, deliver_to(into, replace(peer.ours.channel(), name="hook")))
    world.now = time.time() - 60.0
    yield world
    world.engine.close()
    world.state.dispose()


def fire_then_resolve(world: World, peer: Peer) -> None:
    world.source.set("error_rate", 0.2, api="orders")
    world.source.set("error_rate", 0.3, api="billing")
    world.step(1.0)
    _deliver(world)
    _until(lambda: len(peer.theirs.received) >= 1)
    world.source.set("error_rate", 0.0, api="orders")
    world.source.set("error_rate", 0.0, api="billing")
    world.step(6.0)
    _deliver(world)
    _until(lambda: peer.theirs.notices[-1]["status"] == "resolved")


def test_alertmanager_shows_our_alert_with_labels_times_and_link(world, peer):
    world.source.set("error_rate", 0.2, api="orders")
    world.step(1.0)
    _deliver(world)
    (alert,) = peer.alerts()
    assert alert["labels"] == {"alertname": "errors", "severity": "critical", "api": "orders"}
    assert alert["annotations"]["summary"] == "orders fails 20.0 %"
    assert alert["status"]["state"] == "active"
    assert alert["generatorURL"].startswith("http://127.0.0.1:8050/alerts?alert=")
    assert abs(_at(alert["startsAt"]) - world.now) < 5


def test_alert_sent_twice_is_one_alert_there_and_a_resolve_ends_it(world, peer):
    world.source.set("error_rate", 0.2, api="orders")
    world.step(1.0)
    _deliver(world)
    with world.state.begin() as connection:  # as after a crash between sending and marking
        connection.exec_driver_sql("UPDATE outbox SET delivered_at = NULL")
    _deliver(world)
    assert len(peer.alerts()) == 1
    world.source.set("error_rate", 0.0, api="orders")
    world.step(6.0)
    _deliver(world)
    _until(lambda: peer.alerts() == [])


def test_resolve_is_heard_by_an_alertmanager_whose_clock_is_behind(world, peer):
    world.source.set("error_rate", 0.2, api="orders")
    world.step(1.0)
    _deliver(world)
    assert len(peer.alerts()) == 1
    world.source.set("error_rate", 0.0, api="orders")
    world.step(time.time() + 5.0 - world.now)
    _deliver(world)
    _until(lambda: peer.alerts() == [], within_s=4.0)


def test_what_alertmanager_posts_has_the_fields_and_forms_that_we_post(world, peer):
    fire_then_resolve(world, peer)
    theirs = {n["status"]: n for n in peer.theirs.notices}
    ours = {n["status"]: n for n in peer.ours.notices}
    assert theirs.keys() == ours.keys() == {"firing", "resolved"}
    for status, their in theirs.items():
        our = ours[status]
        assert _shape(our, their) == []
        assert our.keys() - their.keys() == {"key"}
        for field in ("version", "status", "groupLabels", "commonLabels", "truncatedAlerts"):
            assert our[field] == their[field], field
    assert {a["endsAt"] for n in (theirs["firing"], ours["firing"]) for a in n["alerts"]} == {
        NO_END
    }
    assert _alerts(ours["resolved"]) == _alerts(theirs["resolved"])


def test_our_reader_of_notices_reads_what_alertmanager_posts(world, peer):
    fire_then_resolve(world, peer)
    notice = decode_notice(peer.theirs.received[-1][1].decode())
    assert (notice.status, notice.key) == ("resolved", notice.group_key)
    assert {a.labels["api"] for a in notice.alerts} == {"orders", "billing"}
    assert all(a.ends_at is not None and a.ends_at >= a.starts_at for a in notice.alerts)


def _alerts(notice: dict) -> list[tuple]:
    """What of its alerts must be the same in both; times to the second."""
    return sorted(
        (a["status"], a["labels"]["api"], a["annotations"]["summary"], a["generatorURL"],
         int(_at(a["startsAt"])))
        for a in notice["alerts"]
    )  # fmt: skip


def _shape(ours: object, theirs: object, at: str = "") -> list[str]:
    """Where ours lacks a field of theirs, or has another JSON type there."""
    if type(ours) is not type(theirs):
        return [f"{at}: {type(ours).__name__} is {type(theirs).__name__} there"]
    if isinstance(theirs, dict) and at.rpartition(".")[2] not in ("labels", "annotations"):
        missing = [f"{at}.{k} is missing" for k in theirs if k not in ours]
        return missing + [w for k in theirs if k in ours for w in _shape(ours[k], theirs[k], k)]
    if isinstance(theirs, list):
        return [w for a, b in zip(ours, theirs, strict=False) for w in _shape(a, b, at)]
    return []


def _deliver(world: World) -> None:
    for name in ("am", "hook"):
        done = world.engine.outbox.deliver_channel(name, world.now)
        assert (done.retried, done.dead) == (0, 0)


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _until(true: Callable[[], bool], within_s: float = 30.0) -> None:
    """Wait for another program; its clock is not ours to set."""
    end = time.monotonic() + within_s
    while True:
        try:
            if true():
                return
        except (httpx.HTTPError, IndexError):
            pass
        assert time.monotonic() < end, "the Alertmanager did not get there"
        time.sleep(0.1)
