"""Tokens, CORS and TLS: who may send, and as whom."""

from __future__ import annotations

import base64
import http.client
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import orjson
import pytest
from google.rpc.status_pb2 import Status

from collector.auth import Principal, TokenBook, hash_secret, new_secret
from collector.errors import CollectorStartError, RateLimited, Unauthenticated
from collector.limits import TOKEN_FILE_CHECK_S
from collector.service import Collector
from tests.collector.core.doors import eventually, open_collector, query
from tests.collector.core.process import post, traces
from tests.collector.core.test_grpc import TRACES


def write_tokens(path: Path, *lines: str) -> Path:
    path.write_text("tokens:\n" + "".join(f"  - {{{line}}}\n" for line in lines))
    return path


def entry(name: str, secret: str, more: str = "") -> str:
    return f"name: {name}, sha256: {hash_secret(secret)}{', ' + more if more else ''}"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def test_a_token_says_tenant_and_environment(tmp_path: Path) -> None:
    book = TokenBook(
        write_tokens(tmp_path / "t", entry("gw", "s3cret", "tenant: shop, environment: prod"))
    )
    expected = Principal("shop", "prod", "gw")
    for header in ("Bearer s3cret", "bearer  s3cret ", basic("gw", "s3cret")):
        assert book.authenticate(header) == expected


def test_without_a_file_everybody_is_the_default_tenant() -> None:
    assert TokenBook(None).authenticate("") == Principal()


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Bearer s3cre", "Bearer s3cret2", "s3cret",
     "Digest s3cret", "Basic !!!", "Basic " + base64.b64encode(b"no colon").decode(),
     "Bearer " + "x" * 10_000, "Bearer s\udce9cret"],
)  # fmt: skip
def test_anything_else_is_refused_without_a_word_about_the_secret(
    tmp_path: Path, header: str
) -> None:
    book = TokenBook(write_tokens(tmp_path / "t", entry("gw", "s3cret")))
    with pytest.raises(Unauthenticated) as caught:
        book.authenticate(header)
    assert "s3cret" not in str(caught.value)


def test_the_name_of_basic_auth_must_be_the_tokens(tmp_path: Path) -> None:
    book = TokenBook(write_tokens(tmp_path / "t", entry("a", "one"), entry("b", "two")))
    with pytest.raises(Unauthenticated):
        book.authenticate(basic("a", "two"))


def test_a_rate_limit_is_kept_and_recovers(tmp_path: Path) -> None:
    clock = Clock()
    path = write_tokens(tmp_path / "t", entry("gw", "x", "requests_per_s: 2"))
    book = TokenBook(path, clock=clock)
    for _ in range(2):
        book.authenticate("Bearer x")
    with pytest.raises(RateLimited):
        book.authenticate("Bearer x")
    clock.now += 0.5
    book.authenticate("Bearer x")
    with pytest.raises(RateLimited):
        book.authenticate("Bearer x")


def test_a_changed_file_counts_within_seconds_and_a_broken_one_changes_nothing(
    tmp_path: Path,
) -> None:
    clock = Clock()
    path = write_tokens(tmp_path / "t", entry("old", "old"))
    book = TokenBook(path, clock=clock)
    write_tokens(path, entry("new", "newer"))
    os.utime(path, ns=(1, 1))
    clock.now += TOKEN_FILE_CHECK_S
    assert book.authenticate("Bearer newer").credential == "new"
    with pytest.raises(Unauthenticated):
        book.authenticate("Bearer old")
    path.write_text("tokens: [")
    clock.now += TOKEN_FILE_CHECK_S
    assert book.authenticate("Bearer newer").credential == "new"
    path.unlink()
    clock.now += TOKEN_FILE_CHECK_S
    assert book.authenticate("Bearer newer").credential == "new"


@pytest.mark.parametrize(
    "text",
    ["tokens: [{name: a}]", "tokens: [", "other: 1", "- 1",
     "tokens: [{name: a, sha256: SECRET}]",
     f"tokens: [{{{entry('a', 'x')}}}, {{{entry('b', 'x')}}}]",
     f"tokens: [{{{entry('a', 'x')}}}, {{{entry('a', 'y')}}}]",
     f"tokens: [{{{entry('a', 'x', 'tenant: ../up')}}}]"],
)  # fmt: skip
def test_a_wrong_file_is_one_sentence_without_its_values(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t"
    path.write_text(text)
    with pytest.raises(CollectorStartError) as caught:
        TokenBook(path)
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_new_secrets_are_long_and_different() -> None:
    assert len({new_secret() for _ in range(50)}) == 50
    assert len(new_secret()) >= 43


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collector, Path]]:
    folder = tmp_path_factory.mktemp("guarded")
    tokens = write_tokens(
        folder / "tokens.yaml",
        entry("a", "secret-a", "tenant: shop-a, environment: prod"),
        entry("b", "secret-b", "tenant: shop-b"),
    )
    with open_collector(
        folder, tokens_file=tokens, cors_origins=("https://shop.example",)
    ) as collector:
        yield collector, folder


def test_data_lands_with_the_tenant_of_its_token_only(guarded: tuple[Collector, Path]) -> None:
    collector, folder = guarded
    body = traces(1, 4)
    for secret in ("secret-a", "secret-b"):
        assert post(collector.http_port, body, Authorization=f"Bearer {secret}")[0] == 200
    with grpc.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel:
        call = channel.unary_unary(TRACES)
        call(traces(100, 3), metadata=(("authorization", basic("b", "secret-b")),), timeout=10)
        with pytest.raises(grpc.RpcError) as caught:
            call(body, timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    eventually(lambda: collector.batcher.lag == 0)
    assert query(folder, "SELECT * FROM spans") == [], "the default tenant has nothing"
    from storage.lake import Lake
    from storage.session import ReadSession
    from storage.settings import StorageSettings

    lake = Lake(StorageSettings(data_dir=folder))
    for tenant, rows, environments in (("shop-a", 4, ["prod"]), ("shop-b", 7, [None])):
        found = ReadSession(lake, tenant=tenant).query("SELECT environment FROM spans").to_pylist()
        assert len(found) == rows, "equal bytes of two tenants are two requests"
        assert list({row["environment"] for row in found}) == environments


@pytest.mark.parametrize("header", ["", "Bearer nope"])
def test_without_a_good_token_nothing_is_read(guarded: tuple[Collector, Path], header: str) -> None:
    collector, _ = guarded
    status, headers, answer = post(collector.http_port, traces(1, 1), Authorization=header)
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert Status.FromString(answer).code == 16
    sent = {"Authorization": header, "Content_Type": "application/json"}
    status, headers, answer = post(collector.http_port, b"{}", **sent)
    assert (status, headers["content-type"]) == (401, "application/json")
    assert orjson.loads(answer)["code"] == 16


def _options(port: int, path: str, origin: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(
        "OPTIONS", path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_named_origins_may_send_from_a_browser_and_others_may_not(
    guarded: tuple[Collector, Path],
) -> None:
    collector, _ = guarded
    allowed = _options(collector.http_port, "/v1/traces", "https://shop.example")
    assert (allowed.status, allowed.headers["Access-Control-Allow-Origin"]) == (
        204,
        "https://shop.example",
    )
    assert "content-type" in allowed.headers["Access-Control-Allow-Headers"]
    other = _options(collector.http_port, "/v1/traces", "https://evil.example")
    assert other.headers["Access-Control-Allow-Origin"] is None
    status, headers, _ = post(
        collector.http_port,
        b"",
        Authorization="Bearer secret-a",
        Origin="https://shop.example",
    )
    assert (status, headers["access-control-allow-origin"]) == (200, "https://shop.example")


def test_cors_is_off_by_default(tmp_path: Path) -> None:
    with open_collector(tmp_path) as collector:
        answer = _options(collector.http_port, "/v1/traces", "https://shop.example")
        assert answer.status == 405
        assert answer.headers["Access-Control-Allow-Origin"] is None


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def _post_tls(port: int, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection("localhost", port, timeout=5, context=context)
    try:
        body = traces(port, 1)
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        return connection.getresponse().status
    finally:
        connection.close()


@needs_openssl
def test_mutual_tls_on_both_doors_and_a_new_certificate_without_restart(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "server")
    client, client_key = make_certificate(tmp_path, "client")
    with open_collector(
        tmp_path / "data", tls_certificate=certificate, tls_key=key, tls_client_ca=client
    ) as collector:
        context = ssl.create_default_context(cafile=str(certificate))
        with pytest.raises((ssl.SSLError, OSError)):
            _post_tls(collector.http_port, context)
        context.load_cert_chain(client, client_key)
        assert _post_tls(collector.http_port, context) == 200
        credentials = grpc.ssl_channel_credentials(
            certificate.read_bytes(), client_key.read_bytes(), client.read_bytes()
        )
        with grpc.secure_channel(f"localhost:{collector.grpc_port}", credentials) as channel:
            assert channel.unary_unary(TRACES)(traces(7, 1), timeout=10) == b""
        assert post_plain_fails(collector.http_port)
        make_certificate(tmp_path, "server")
        assert collector._certificate is not None
        collector._certificate.reload_if_changed()
        renewed = ssl.create_default_context(cafile=str(certificate))
        renewed.load_cert_chain(client, client_key)
        assert _post_tls(collector.http_port, renewed) == 200


def post_plain_fails(port: int) -> bool:
    try:
        post(port, b"")
    except (OSError, http.client.HTTPException):
        return True
    return False


@needs_openssl
def test_a_key_that_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path, "one")
    _, key = make_certificate(tmp_path, "two")
    with (
        pytest.raises(CollectorStartError, match="cannot be used with key"),
        open_collector(tmp_path / "data", tls_certificate=certificate, tls_key=key),
    ):
        pass
