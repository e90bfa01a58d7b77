from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn

from alerting.settings import AlertingSettings
from dashboards import identity
from dashboards.data import Data
from dashboards.serving.server import create_server, uvicorn_config
from dashboards.settings import DashboardSettings
from storage.settings import StorageSettings
from tests.dashboards.canaries import write_canaries
from tests.dashboards.known import Call, known_calls, roll_up, utc_now, write_lake
from tests.dashboards.telemetry import write_telemetry


@dataclass(frozen=True, slots=True)
class Running:
    """A server of ours, listening."""

    url: str
    data: Data
    calls: list[Call]


@pytest.fixture(autouse=True)
def asked_here() -> Iterator[None]:
    """Tests that ask `Data` itself ask as this machine does where no login is asked."""
    with identity.acting_as(identity.LOCAL):
        yield


@pytest.fixture(scope="session")
def calls() -> list[Call]:
    return known_calls(utc_now())


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory, calls: list[Call]) -> StorageSettings:
    written = write_lake(tmp_path_factory.mktemp("lake"), calls)
    write_telemetry(written, utc_now())
    write_canaries(written, utc_now())
    roll_up(written)
    return written


@pytest.fixture(scope="session")
def server(storage: StorageSettings, calls: list[Call]) -> Iterator[Running]:
    """The dashboards over the known lake."""
    with serving(storage) as (url, data):
        yield Running(url, data, calls)


@pytest.fixture(scope="session")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The dashboards of an installation that has never seen a request."""
    with serving(StorageSettings(data_dir=tmp_path_factory.mktemp("empty"))) as (url, data):
        yield Running(url, data, [])


class serving:
    """The real ASGI application on a free port, in a thread of this process."""

    def __init__(
        self,
        storage: StorageSettings,
        alerting: AlertingSettings = AlertingSettings(),  # noqa: B008 - frozen
        settings: DashboardSettings = DashboardSettings(port=0),  # noqa: B008 - frozen
    ) -> None:
        self._data = Data(settings, storage, alerting=alerting)
        self._server = uvicorn.Server(uvicorn_config(create_server(self._data)))
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self) -> tuple[str, Data]:
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}", self._data

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()
        self._data.close()
