from __future__ import annotations

import pytest

from alerting.errors import AddressRefused, DeliveryFailed
from alerting.http_post import post
from alerting.net_guard import check_url, parse_networks
from tests.alerting.world import LOOPBACK, running_sink


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://127.1/", "https://0x7f.1/", "https://2130706433/",
        "https://0177.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://localhost/",
        "https://169.254.169.254/latest/meta-data/", "https://[fe80::1]/", "https://[fd00::1]/",
        "https://10.0.0.8/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/",
        "https://0.0.0.0/", "https://224.0.0.1/", "https://255.255.255.255/", "https://[::]/",
        "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[::ffff:a9fe:a9fe]/",
    ],
)  # fmt: skip
def test_inner_addresses_are_refused(url):
    with pytest.raises(AddressRefused):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "gopher://x.example/", "dbus://x", "ftp://x.example/", "//x.example",
        "https://", "https://user:pw@x.example/", "http://[::1", "https://x.example:99999/", "",
        "http://8.8.8.8/",
    ],
)  # fmt: skip
def test_anything_but_plain_https_is_refused(url):
    with pytest.raises(AddressRefused):
        check_url(url)


def test_one_inner_address_among_many_refuses_the_name():
    with pytest.raises(AddressRefused, match=r"192\.168\.0\.1"):
        check_url("https://x.example/", resolver=lambda *_: ["8.8.8.8", "192.168.0.1"])


def test_the_checked_address_is_the_one_that_is_called():
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    target = check_url("https://x.example:8443/a?b=c", resolver=lambda *_: next(answers))
    assert (target.host, target.port, target.address) == ("x.example", 8443, "8.8.8.8")
    assert target.path == "/a?b=c"


def test_allowed_network_may_be_called_without_tls_but_never_link_local():
    everything = parse_networks(["0.0.0.0/0", "::/0"])
    assert check_url("http://127.0.0.1:9/", LOOPBACK).address == "127.0.0.1"
    for url in (
        "http://169.254.169.254/",
        "http://[::ffff:169.254.169.254]/",
        "https://[fe80::1]/",
    ):
        with pytest.raises(AddressRefused):
            check_url(url, everything)


def test_errors_never_carry_the_path_of_the_url():
    with running_sink() as sink:
        sink.answers = [404]
        with pytest.raises(DeliveryFailed) as failed:
            post(sink.url + "/T000/SECRET", b"{}", {}, allowed=LOOPBACK)
    assert "SECRET" not in str(failed.value)
    assert not failed.value.retry


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(status):
    with running_sink() as sink, running_sink() as inner:
        sink.answers, sink.headers = [status], {"Location": inner.url}
        with pytest.raises(DeliveryFailed, match=str(status)) as failed:
            post(sink.url, b"{}", {}, allowed=LOOPBACK)
        assert inner.received == []
    assert not failed.value.retry
