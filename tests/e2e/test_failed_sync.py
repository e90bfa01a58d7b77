"""A disk that fails an fsync, from the sender's 503 to the restarted collector, in one run."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.e2e.installation import Installation, wait_until
from tests.e2e.test_kill import SPANS_PER_REQUEST, body, books

REQUESTS = 6


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_failed_sync_is_answered_retryably_and_ends_in_a_restarted_collector(
    installation: Installation,
) -> None:
    # Every collector of this installation fails at its third sync: two requests each.
    installation.environment["FAULTS_IN_GATELENS"] = "wal.sync=eio@3"
    installation.start("up")
    installation.wait_ready(installation.collector)
    statuses: list[int] = []
    restarts = 0
    with httpx.Client(trust_env=False, timeout=5) as client:
        for number in range(REQUESTS):
            content = body(number)
            acknowledged = False
            while not acknowledged:
                try:
                    answer = client.post(
                        f"{installation.collector}/v1/traces",
                        content=content,
                        headers={"content-type": "application/x-protobuf"},
                    )
                except httpx.HTTPError:
                    time.sleep(0.2)
                    continue
                statuses.append(answer.status_code)
                acknowledged = answer.status_code == 200
                if answer.status_code == 503:
                    assert int(answer.headers["retry-after"]) > 0
                    if "restart" in client.get(f"{installation.collector}/healthz").text:
                        restarts += 1
                        _wait_for_restart(installation, client)
    assert set(statuses) == {200, 503}
    assert restarts >= 2
    wait_until(lambda: books(installation).settled, 20, installation.output)
    books(installation).check()
    rows = REQUESTS * SPANS_PER_REQUEST
    installation.wait_for_row(
        "SELECT count(*) AS n, count(DISTINCT span_id) AS d FROM spans", {"n": rows, "d": rows}
    )
    assert "wal_stopped" in installation.output()
    assert "role_unhealthy_restarting_it" in installation.output()


def _wait_for_restart(installation: Installation, client: httpx.Client) -> None:
    """Until the supervisor has put a new collector in the place of the failed one."""

    def well() -> bool:
        try:
            return client.get(f"{installation.collector}/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(well, 150, installation.output)
