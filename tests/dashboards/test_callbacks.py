from __future__ import annotations

import inspect

from dashboards.app import create_app
from tests.dashboards.conftest import Running


def test_every_callback_on_the_server_is_a_coroutine(server: Running) -> None:
    app = create_app(server.data)
    on_server = {
        key: spec["callback"] for key, spec in app.callback_map.items() if "callback" in spec
    }
    assert len(on_server) >= 8
    blocking = [key for key, run in on_server.items() if not inspect.iscoroutinefunction(run)]
    assert blocking == []
