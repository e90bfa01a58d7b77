"""Services through apprise: those alone whose host the library fixes; never a word of the keys."""

from __future__ import annotations

import apprise
import pytest
from apprise.manager_plugins import NotificationManager
from apprise.plugins.pushover import NotifyPushover

from alerting.channel import ChannelConfig
from alerting.channels import parse_delivery
from alerting.errors import AddressRefused, ConfigInvalid, DeliveryFailed
from alerting.notify_apprise import SERVICES, send_apprise
from tests.alerting.test_senders import HOSTILE, notice
from tests.alerting.world import START, running_sink

KEYS = "u" * 30 + "@" + "a" * 30
CHANNEL = ChannelConfig("phones", "apprise", url="env:PHONES")


@pytest.mark.parametrize("service", SERVICES)
def test_services_talk_tls_to_a_host_that_the_address_cannot_name(service):
    plugin = NotificationManager()[service]
    secure = plugin.secure_protocol
    assert service in ((secure,) if isinstance(secure, str) else secure)
    assert not any("{host}" in form or "{hostname}" in form for form in plugin.templates)
    assert plugin.enabled


@pytest.mark.parametrize(
    "url",
    [
        "json://127.0.0.1/x", "jsons://169.254.169.254/x", "xml://localhost", "forms://inside",
        "dbus://", "syslog://", "gnome://", "windows://", "macosx://", "glib://session/bus",
        "mailto://u:p@inside", "mqtt://inside/t", "ntfys://inside/t", "file:///etc/passwd",
        "workflows://inside/a/b", "", "pover", "://", "pover://",
    ],
)  # fmt: skip
def test_every_other_address_is_refused_without_being_shown(monkeypatch, url):
    monkeypatch.setenv("PHONES", url or " x ")
    with pytest.raises(AddressRefused) as refused:
        send_apprise(CHANNEL, notice(), START)
    assert "inside" not in str(refused.value)


def test_notice_reaches_the_service(monkeypatch):
    with running_sink() as sink:
        monkeypatch.setattr(NotifyPushover, "notify_url", sink.url)
        monkeypatch.setenv("PHONES", f"pover://{KEYS}")
        send_apprise(CHANNEL, notice(name=HOSTILE, alerts=20), START)
        send_apprise(CHANNEL, notice("resolved"), START)
        bodies = [body.decode() for _, body in sink.received]
    assert len(bodies) == 2
    assert "FIRING" in bodies[0]
    assert "RESOLVED" in bodies[1]


@pytest.mark.parametrize("answer", [429, 500, 400])
def test_refusal_is_tried_again_and_says_nothing_of_the_keys(monkeypatch, caplog, answer):
    with running_sink() as sink:
        sink.answers = [answer]
        monkeypatch.setattr(NotifyPushover, "notify_url", sink.url)
        monkeypatch.setenv("PHONES", f"pover://{KEYS}")
        with pytest.raises(DeliveryFailed) as failed:
            send_apprise(CHANNEL, notice(), START)
    assert failed.value.retry
    assert "aaaa" not in str(failed.value) + caplog.text


def test_address_in_the_file_is_refused():
    text = "channels:\n  - {name: phones, type: apprise, url: 'pover://u@a'}\n"
    with pytest.raises(ConfigInvalid, match="is a secret"):
        parse_delivery(text)
    assert parse_delivery(text.replace("'pover://u@a'", "'env:PHONES'")).channels["phones"]


def test_file_that_needs_the_library_says_how_to_have_it(monkeypatch):
    monkeypatch.setattr("alerting.channels.apprise_installed", lambda: False)
    with pytest.raises(ConfigInvalid, match=r"pip install 'gatelens\[apprise\]'"):
        parse_delivery("channels:\n  - {name: phones, type: apprise, url: 'env:PHONES'}\n")


def test_library_is_the_real_one():
    assert apprise.__version__ >= "2.3"
