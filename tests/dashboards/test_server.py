from __future__ import annotations

import io
import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboards.errors import DashboardStartError
from dashboards.limits import CALLBACK_BODY_BYTES_MAX
from dashboards.serving.server import run
from dashboards.settings import DashboardSettings
from storage.settings import StorageSettings
from tests.dashboards.conftest import Running

COUNT = (
    "SELECT api, count(*) AS n FROM requests WHERE time >= now() - INTERVAL 1 HOUR "
    "GROUP BY api ORDER BY n DESC, api"
)


@pytest.fixture
def http(server: Running) -> httpx.Client:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def test_health_metrics_and_readiness_answer(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ready"}
    assert "gatelens_dashboards_request_seconds_count" in http.get("/metrics").text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/apis", 200),
        ("/apis/orders", 200),
        ("/nothing", 404),
        ("/apis/a/../../etc/passwd", 404),
        ("/api", 404),
        ("/api/", 404),
        ("/api/v2/sql", 404),
        ("/api/openapi.json", 200),
        ("/api/docs", 200),
        ("/_dash-ws-callback", 404),
    ],
)
def test_each_address_has_its_own_status(http: httpx.Client, path: str, status: int) -> None:
    answer = http.get(path)
    assert answer.status_code == status
    is_page = answer.headers["content-type"].startswith("text/html")
    assert is_page == (
        not path.startswith("/api")
        or path in ("/apis", "/apis/orders", "/api/docs")
        or path.startswith("/apis/")
    )


def test_pages_carry_a_strict_policy_and_secure_headers(http: httpx.Client) -> None:
    headers = http.get("/").headers
    policy = headers["content-security-policy"]
    assert "script-src 'self' 'sha256-" in policy
    assert "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


def test_page_needs_nothing_from_other_hosts(http: httpx.Client) -> None:
    text = http.get("/").text
    assert 'src="http' not in text
    assert 'href="http' not in text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/_dash-update-component", "/api/v1/sql"])
def test_posts_from_other_sites_are_refused(
    http: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    assert http.post(path, json={"sql": "SELECT 1"}, headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8050", "a/b", "127.0.0.1@evil", ""])
def test_unknown_host_names_are_refused(http: httpx.Client, host: str) -> None:
    assert http.get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"not json",
        b'{"output":"no-such.children","outputs":{"id":"no-such","property":"children"},"inputs":[]}',
        b'{"output":"page.children","outputs":{"id":"page","property":"children"},"inputs":"x"}',
    ],
)
def test_forged_updates_are_refused_without_a_stack(http: httpx.Client, body: bytes) -> None:
    answer = http.post(
        "/_dash-update-component", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert "Traceback" not in answer.text


def test_update_with_hostile_values_gets_the_default_view(http: httpx.Client) -> None:
    for view in (None, 7, [], {"search": 5, "mode": []}, {"search": "?from=" + "9" * 5000}):
        answer = http.post(
            "/_dash-update-component",
            json={
                "output": "home-movers.children",
                "outputs": {"id": "home-movers", "property": "children"},
                "inputs": [{"id": "view", "property": "data", "value": view}],
                "changedPropIds": ["view.data"],
            },
        )
        assert answer.status_code == 200
        assert "orders" in answer.text


def test_oversized_bodies_are_refused(http: httpx.Client) -> None:
    big = b"x" * (CALLBACK_BODY_BYTES_MAX + 1)
    assert http.post("/_dash-update-component", content=big).status_code == 413
    assert http.post("/api/v1/sql", content=big).status_code == 413

    def chunks() -> object:
        for _ in range(20):
            yield b"x" * 65_536

    json_type = {"content-type": "application/json"}
    answer = http.post("/_dash-update-component", content=chunks(), headers=json_type)
    assert answer.status_code == 413


def test_sql_counts_agree_in_all_three_formats(http: httpx.Client, server: Running) -> None:
    expected = {}
    for call in server.calls:
        expected[call.api] = expected.get(call.api, 0) + 1

    as_json = http.post("/api/v1/sql", json={"sql": COUNT}).json()
    assert dict(as_json["rows"]) == expected
    assert [c["name"] for c in as_json["columns"]] == ["api", "n"]
    text = http.post("/api/v1/sql?format=csv", json={"sql": COUNT}).text
    assert text.splitlines()[0] == "api,n"
    assert f"orders,{expected['orders']}" in text
    arrow = http.post(
        "/api/v1/sql",
        json={"sql": COUNT},
        headers={"accept": "application/vnd.apache.arrow.stream"},
    )
    table = pa.ipc.open_stream(io.BytesIO(arrow.content)).read_all()
    assert dict(zip(table["api"].to_pylist(), table["n"].to_pylist(), strict=True)) == expected


def test_sql_binds_parameters_and_says_when_rows_were_cut(http: httpx.Client) -> None:
    one = http.post(
        "/api/v1/sql",
        json={"sql": "SELECT count(*) AS n FROM requests WHERE api = ?", "params": ["orders"]},
    )
    assert one.json()["rows"] == [[300]]
    cut = http.post("/api/v1/sql", json={"sql": "SELECT time FROM requests", "rows_max": 5})
    assert cut.headers["x-truncated"] == "true"
    files, size = int(cut.headers["x-files"]), int(cut.headers["x-file-bytes"])
    assert (one.json()["files"], one.json()["file_bytes"]) == (files, size)
    assert files > 0
    assert size > 0
    assert len(cut.json()["rows"]) == 5


ENDLESS = "SELECT sum(a.i * b.i) FROM range(100000000) a(i), range(100000000) b(i)"


def test_a_running_statement_can_be_watched_and_stopped_by_its_id(http: httpx.Client) -> None:
    query_id = str(uuid.uuid4())
    place = f"/api/v1/sql/{query_id}"
    assert http.get(place).status_code == 404
    with ThreadPoolExecutor(1) as background:
        asked = background.submit(http.post, "/api/v1/sql", json={"sql": ENDLESS, "id": query_id})
        until = time.monotonic() + 30
        while (seen := http.get(place)).status_code == 404 or seen.json()["state"] == "waiting":
            assert time.monotonic() < until
        assert seen.json().keys() == {"state", "progress", "elapsed_ms"}
        assert 0 <= seen.json()["progress"] <= 1
        again = http.post("/api/v1/sql", json={"sql": "SELECT 1", "id": query_id})
        assert again.status_code == 409
        assert http.delete(place).status_code == 202
        assert asked.result().status_code == 499
    assert http.get(place).json()["state"] == "ended"  # its answer may still be on the way
    assert http.delete(place).status_code == 404


def test_the_id_of_a_statement_is_long_and_plain(http: httpx.Client) -> None:
    for bad in ("short", "x" * 65, "../../../etc/passwd-----", 7):
        answer = http.post("/api/v1/sql", json={"sql": "SELECT 1", "id": bad})
        assert answer.status_code == 400, bad


def test_sql_answers_in_parquet(http: httpx.Client) -> None:
    answer = http.post("/api/v1/sql?format=parquet", json={"sql": "SELECT 7 AS n, 'x' AS t"})
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = pq.read_table(io.BytesIO(answer.content))
    assert table.to_pylist() == [{"n": 7, "t": "x"}]


@pytest.mark.parametrize(
    "body",
    [
        {"sql": "DROP TABLE requests"},
        {"sql": "SELECT * FROM read_csv('/etc/passwd')"},
        {"sql": "SELECT nope FROM requests"},
        {"sql": 5},
        {"statement": "SELECT 1"},
        {"sql": "SELECT 1", "tenant": "other"},
    ],
)
def test_refused_sql_gets_one_sentence(http: httpx.Client, body: dict[str, object]) -> None:
    answer = http.post("/api/v1/sql", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_spreadsheets_get_no_formula(http: httpx.Client) -> None:
    answer = http.post("/api/v1/sql?format=csv", json={"sql": "SELECT '=1+1' AS a, -5 AS b"})
    assert answer.text.splitlines()[1] == "'=1+1,-5"


def test_component_files_are_compressed_once_and_kept_by_browsers(http: httpx.Client) -> None:
    page = http.get("/").text
    path = page.split('src="', 2)[2].split('"')[0]
    assert path.startswith("/_dash-component-suites/")
    answer = http.get(path)
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert http.get(path, headers={"accept-encoding": "identity"}).content == answer.content


def test_the_very_first_page_asked_for_has_our_scripts(empty_server: Running) -> None:
    assert "/assets/gatelens.js" in httpx.get(f"{empty_server.url}/apis/anything").text


def test_port_in_use_is_one_sentence(storage: StorageSettings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DashboardStartError, match="GATELENS_DASHBOARD_PORT"):
            run(DashboardSettings(port=port), storage)
