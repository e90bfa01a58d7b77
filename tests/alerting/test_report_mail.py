"""Scheduled reports through a real mail server: at least once, over crashes and refusals."""

from __future__ import annotations

import email
import random
from dataclasses import replace
from datetime import timedelta
from email import policy

import pytest

from alerting.errors import DeliveryFailed
from alerting.report_mail import ReportMail
from alerting.smtp import send_message
from analytics.errors import LeaseLost
from analytics.query import Analytics
from analytics.report_schedules import ReportSchedule, ReportScheduleStore
from storage.catalog import Api, Catalog, Consumer, Plan
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from storage.state import open_state
from tests.analytics.conftest import FakeClock
from tests.analytics.hostile import NOON, request_table

CATALOG = Catalog(
    apis=(Api(name="orders", owner="Team Zürich"),),
    plans=(Plan(name="gold", quota_per_month=100, price_per_call=0.5),),
    consumers=(Consumer(name="acme", plan="gold"), Consumer(name="idle", plan="gold")),
)
OWNER = ReportSchedule("owner", "Team Zürich", "day", recipients=("pm@example.com",))
DUE = NOON.replace(hour=7) + timedelta(days=1)


class World:
    """A lake with a day of requests, a clock, a mail server and a mailer that may be restarted."""

    def __init__(self, path, box):
        settings = StorageSettings(data_dir=path)
        lake = Lake(settings)
        rows = [
            {"time": NOON - timedelta(minutes=n), "tenant": "default", "api": "orders",
             "consumer": "acme", "outcome": "ok", "duration_ms": 5.0}
            for n in range(7)
        ]  # fmt: skip
        lake.table("requests").append(request_table(rows), app_id="t", app_version=1)
        self.clock = FakeClock(NOON)
        self.state = open_state(settings)
        self.session = ReadSession(lake, threads=1)
        self.analytics = Analytics(self.session, clock=lambda: DUE)
        self.store = ReportScheduleStore(self.state)
        self.box = box

    def add(self, schedule=OWNER):
        return self.store.add(schedule, now=NOON)

    def mailer(self, **options):
        return ReportMail(
            self.state, self.analytics, CATALOG, {"mail": self.box.channel},
            clock=self.clock, rng=random.Random(1), **options,
        )  # fmt: skip

    def due(self):
        self.clock.now = DUE.timestamp()

    @property
    def mails(self):
        return [
            email.message_from_bytes(content, policy=policy.default)
            for _, content in self.box.messages
        ]


@pytest.fixture
def world(tmp_path, smtp):
    made = World(tmp_path, smtp)
    yield made
    made.session.close()
    made.state.dispose()


def test_a_due_report_arrives_once_with_its_attachments(world):
    world.add()
    mailer = world.mailer()
    assert mailer.tick() is None
    world.due()
    assert mailer.tick().rows_out == 1
    assert mailer.tick() is None
    assert world.mailer().tick() is None  # nor after a restart
    (mail,) = world.mails
    assert world.box.messages[0][0] == ["pm@example.com"]
    assert mail["Subject"] == "Team Zürich: API report, 2026-11-20"
    assert "Requests: 7" in mail.get_body(("plain",)).get_content()
    assert "<h1" in mail.get_body(("html",)).get_content()
    files = {part.get_filename(): part.get_content() for part in mail.iter_attachments()}
    assert set(files) == {
        "gatelens-report-2026-11-20.pdf",
        "gatelens-report-2026-11-20.csv",
    }
    assert files["gatelens-report-2026-11-20.pdf"].startswith(b"%PDF-")
    assert "orders,,,7" in files["gatelens-report-2026-11-20.csv"]


@pytest.mark.parametrize("moment", ["before the mail", "after the mail"])
def test_a_crash_around_sending_loses_no_report_and_repeats_it_with_the_same_id(world, moment):
    world.add()
    world.due()

    def dies(channel, message):
        if moment == "after the mail":
            send_message(channel, message)
        raise KeyboardInterrupt  # as a kill would: nothing after it runs

    with pytest.raises(KeyboardInterrupt):
        world.mailer(send=dies).tick()
    world.mailer().tick()
    world.mailer().tick()
    assert len(world.mails) == (2 if moment == "after the mail" else 1)
    assert len({mail["Message-ID"] for mail in world.mails}) == 1


def test_a_refusal_is_tried_again_later_and_the_wait_survives_a_restart(world):
    world.add()
    world.due()
    world.box.answer = "451 try later"
    world.mailer().tick()
    (waiting,) = world.store.deliveries()
    assert (waiting.state, waiting.attempts) == ("waiting", 1)
    assert "451" in waiting.error
    world.box.answer = ""
    assert world.mailer().tick() is None  # its time has not come
    world.clock.advance(60)
    assert world.mailer().tick().rows_out == 1
    assert world.store.deliveries()[0].state == "delivered"


def test_a_report_given_up_fails_the_job_and_the_others_are_sent(world):
    world.add(replace(OWNER, name="gone"))
    world.add()
    world.due()
    with pytest.raises(DeliveryFailed, match="gone"):
        world.mailer().tick()
    assert {d.state for d in world.store.deliveries()} == {"failed", "delivered"}
    assert len(world.mails) == 1
    assert world.mailer().tick() is None


def test_without_a_mail_channel_reports_wait_and_say_why(world):
    world.add(replace(OWNER, channel="other"))
    world.due()
    world.mailer().tick()
    assert "'other'" in world.store.deliveries()[0].error
    assert world.store.deliveries()[0].state == "waiting"


def test_who_lost_the_lease_sends_nothing(world):
    world.add()
    world.due()

    def lost():
        raise LeaseLost("jobs")

    with pytest.raises(LeaseLost):
        world.mailer(check_lease=lost).tick()
    assert world.mails == []
    assert world.mailer().tick().rows_out == 1


def test_a_silent_period_is_left_unsent_only_where_asked(world):
    world.add(ReportSchedule("consumer", "idle", "day", skip_empty=True))
    world.add(ReportSchedule("consumer", "idle", "day", formats=()))
    world.due()
    world.mailer().tick()
    assert sorted(d.state for d in world.store.deliveries()) == ["delivered", "skipped"]
    (mail,) = world.mails
    assert world.box.messages[0][0] == ["a@example.com", "b@example.com"]
    assert list(mail.iter_attachments()) == []
    assert "not measured" in mail.get_body(("html",)).get_content()


def test_run_now_sends_the_last_period_once_more(world):
    made = world.add()
    world.due()
    world.mailer().tick()
    world.store.run_now(made.id, now=DUE)
    world.mailer().tick()
    assert len(world.mails) == 2
    assert len({mail["Message-ID"] for mail in world.mails}) == 2
