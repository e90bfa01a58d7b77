"""The official exporters of other languages against a real collector process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.collector.core.doors import eventually
from tests.collector.core.process import CollectorProcess, free_port
from tests.collector.exporters.peers import go, java, javascript, send
from tests.collector.exporters.scenario import Stored, check_stored

pytestmark = [pytest.mark.peer, pytest.mark.timeout(900)]

CASES = [
    (javascript, "protobuf"),
    (javascript, "json"),
    (javascript, "grpc"),
    (go, "protobuf"),
    (go, "grpc"),
    (java, "protobuf"),
    (java, "grpc"),
]


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    process = CollectorProcess(tmp_path_factory.mktemp("peers"), grpc_port=free_port())
    process.start()
    yield process
    process.terminate()


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize(
    ("build", "protocol"), CASES, ids=[f"{build.__name__} {name}" for build, name in CASES]
)
def test_what_an_official_exporter_sends_is_what_is_stored(
    collector: CollectorProcess, build: Callable[[], list[str]], protocol: str, compression: str
) -> None:
    command = build()
    port = collector.settings.grpc_port if protocol == "grpc" else collector.port
    service = f"{build.__name__}-{protocol}-{compression}"
    done = send(command, protocol, f"http://127.0.0.1:{port}", service, compression)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    stored = Stored(collector.data_dir, service)
    eventually(lambda: stored.complete)
    check_stored(stored)
