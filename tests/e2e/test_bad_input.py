"""Bad input: the right status or exit code, one sentence, and nothing stored is touched."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.installation import Installation
from tests.e2e.test_kill import SPANS_PER_REQUEST, body

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def collecting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running collector with one stored request, shared by the tests of this file."""
    made = Installation(
        tmp_path_factory.mktemp("bad-input") / "data",
        environment={"GATELENS_COLLECTOR_BODY_BYTES_MAX": "1000000"},
    )
    made.start("collect")
    made.wait_ready(made.collector)
    assert post(made, "/v1/traces", body(1)).status_code == 200
    made.wait_for_row("SELECT count(*) AS n FROM spans", {"n": SPANS_PER_REQUEST})
    yield made
    made.stop()


def post(
    installation: Installation, path: str, content: bytes, headers: dict[str, str] = PROTOBUF
) -> httpx.Response:
    return httpx.post(
        installation.collector + path, content=content, headers=headers, trust_env=False
    )


def count(installation: Installation) -> int:
    [row] = installation.sql("SELECT count(*) AS n FROM spans")
    n: int = row["n"]
    return n


def test_bad_requests_get_their_status_and_leave_the_stored_alone(collecting: Installation) -> None:
    whole = body(2)
    answers = {
        "wrong content type": post(collecting, "/v1/traces", whole, {"content-type": "text/html"}),
        "truncated": post(collecting, "/v1/traces", whole[:-3]),
        "oversized": post(collecting, "/v1/traces", b"\x0a" + bytes(1_000_001)),
        "unknown path": post(collecting, "/v1/nothing", whole),
        "unknown format": post(collecting, "/ingest/nothing", b"x"),
        "wrong verb": httpx.get(f"{collecting.collector}/v1/traces", trust_env=False),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "wrong content type": 415,
        "truncated": 400,
        "oversized": 413,
        "unknown path": 404,
        "unknown format": 404,
        "wrong verb": 405,
    }
    assert all(len(answer.content) > 10 for answer in answers.values())
    assert count(collecting) == SPANS_PER_REQUEST


def test_a_broken_nginx_line_is_kept_with_its_reason(collecting: Installation) -> None:
    good = b'192.0.2.1 - - [21/Nov/2026:09:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8"\n'
    answer = post(
        collecting,
        "/ingest/nginx",
        good + b"broken password=hush\n",
        {"content-type": "text/plain"},
    )
    assert answer.status_code == 200
    collecting.wait_for_row("SELECT count(*) AS n FROM rejects", {"n": 1})
    [row] = collecting.sql("SELECT source, position, reason, detail FROM rejects")
    assert (row["source"], row["position"]) == ("nginx", 2)
    assert row["reason"] and row["detail"]
    assert (
        "gatelens_collector_records_rejected_total"
        in httpx.get(f"{collecting.collector}/metrics", trust_env=False).text
    )


def test_a_port_in_use_is_one_sentence_and_exit_code_2(installation: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", installation.http_port))
        taken.listen()
        done = installation.run("collect")
    assert done.returncode == 2
    assert str(installation.http_port) in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_setting_is_one_sentence_and_exit_code_2(
    installation: Installation, tmp_path: Path
) -> None:
    config = tmp_path / "gatelens.toml"
    config.write_text("[collector]\nhttp_prot = 1\n")
    done = installation.run("collect", "--config", str(config))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "did you mean 'http_port'" in done.stderr


def test_an_unwritable_data_folder_is_one_sentence_and_exit_code_2(
    installation: Installation, tmp_path: Path
) -> None:
    # A file where the folder should be: unwritable for root as well, unlike a mode.
    blocker = tmp_path / "file"
    blocker.write_text("")
    installation.environment["GATELENS_DATA_DIR"] = os.fspath(blocker / "data")
    done = installation.run("collect")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert str(blocker) in done.stderr


def test_a_role_that_cannot_start_ends_up_with_its_sentence(installation: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", installation.dashboard_port))
        taken.listen()
        done = installation.run("up")
    assert done.returncode == 2
    assert str(installation.dashboard_port) in done.stderr
    assert "Traceback" not in done.stderr


def test_an_incomplete_query_gets_a_sentence_not_a_stack_trace(installation: Installation) -> None:
    for query in ("SELECT FROM", "DROP TABLE requests", "SELECT * FROM read_csv('/etc/passwd')"):
        done = installation.run("sql", query)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()
