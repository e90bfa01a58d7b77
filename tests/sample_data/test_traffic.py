"""Traffic: pure, seamless, and with every actor doing what its story says."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest

from gatelens import cli
from sample_data.actors import UPSTREAM_TIMEOUT_MS
from sample_data.company import INCIDENT_API, build_company
from sample_data.history import DEMO_GROWTH_FLOOR, DEMO_RISE_US
from sample_data.requests import (
    ABORTED,
    OUTCOMES,
    QUOTA_EXCEEDED,
    RATE_LIMITED,
    SERVER_ERROR,
    UNAUTHORIZED,
    Requests,
)
from sample_data.scenario import (
    DAY_US,
    DEMO_RATE_PER_S,
    HOUR_US,
    SECOND_US,
    Burst,
    Growth,
    Incident,
    QuotaStory,
    Scenario,
    history_scenario,
    live_scenario,
)
from sample_data.traffic import SLOT_US, daily_shape, generate, iterate, region_rates

START_US = 1_795_176_000 * SECOND_US  # 2026-11-20 12:00 UTC, a Friday
MINUTE_US = 60 * SECOND_US
COMPANY = build_company()
LIVE = live_scenario(START_US)


def assert_same(one: Requests, other: Requests) -> None:
    for field in fields(Requests):
        a, b = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(a, b, err_msg=field.name)


def test_same_window_gives_same_requests() -> None:
    window = (START_US, START_US + 5 * MINUTE_US)
    assert_same(generate(COMPANY, LIVE, *window), generate(COMPANY, LIVE, *window))


@pytest.mark.parametrize("step_us", [7 * SECOND_US, MINUTE_US, SLOT_US, HOUR_US])
def test_pieces_of_a_window_make_the_window(step_us: int) -> None:
    window = (START_US + 123_456, START_US + 12 * MINUTE_US + 789)
    whole = generate(COMPANY, LIVE, *window)
    pieces = [piece for _, piece in iterate(COMPANY, LIVE, *window, step_us)]
    assert sum(len(piece) for piece in pieces) == len(whole)
    for field in fields(Requests):
        joined = np.concatenate([getattr(piece, field.name) for piece in pieces])
        np.testing.assert_array_equal(joined, getattr(whole, field.name), err_msg=field.name)


def test_requests_are_in_order_and_inside_the_window() -> None:
    window = (START_US + 1, START_US + 11 * MINUTE_US)
    times = generate(COMPANY, LIVE, *window).time_us
    assert times[0] >= window[0] and times[-1] < window[1]
    assert (np.diff(times) >= 0).all()


def test_an_empty_window_has_no_requests() -> None:
    assert len(generate(COMPANY, LIVE, START_US, START_US)) == 0


def test_another_seed_gives_other_requests() -> None:
    other = generate(build_company(1), LIVE, START_US, START_US + MINUTE_US)
    same = generate(COMPANY, LIVE, START_US, START_US + MINUTE_US)
    assert not np.array_equal(other.ids[:100], same.ids[:100])


def test_leaving_the_scanner_out_changes_nothing_for_the_others() -> None:
    window = (START_US, START_US + 3 * MINUTE_US)
    with_scan = generate(COMPANY, LIVE, *window)
    without = generate(COMPANY, replace(LIVE, scan=None), *window)
    usual = with_scan.address != COMPANY.scanner_address
    np.testing.assert_array_equal(with_scan.ids[usual], without.ids)


def test_the_rate_is_the_mean_over_a_week() -> None:
    scenario = Scenario(rate_per_s=10.0)
    rates = [sum(region_rates(scenario, COMPANY, START_US + hour * HOUR_US)) for hour in range(168)]
    assert np.mean(rates) == pytest.approx(10.0, rel=0.03)


def test_nights_and_weekends_are_quiet() -> None:
    friday_noon, friday_night = daily_shape(START_US, 0.0), daily_shape(START_US - 9 * HOUR_US, 0.0)
    assert friday_night < friday_noon / 3
    assert daily_shape(START_US + DAY_US, 0.0) < friday_noon * 0.7


def test_growth_ends_at_the_full_rate() -> None:
    growth = Growth(START_US, HOUR_US, 0.1)
    assert growth.factor(START_US) == 1.0
    assert growth.factor(START_US + DAY_US) == 1.0
    assert growth.factor(START_US - DAY_US) == pytest.approx(0.1, abs=1e-6)


def _share_failed(requests: Requests, api: str) -> float:
    of_api = np.array([o.kind == "call" and o.api is not None and o.api.name == api
                       for o in COMPANY.operations])[requests.operation]  # fmt: skip
    return float((requests.outcome[of_api] == SERVER_ERROR).mean())


def test_the_incident_starts_a_minute_after_live_traffic_and_fails_a_third_of_one_api() -> None:
    before = generate(COMPANY, LIVE, START_US, START_US + MINUTE_US)
    during = generate(COMPANY, LIVE, START_US + MINUTE_US, START_US + 210 * SECOND_US)
    after = generate(COMPANY, LIVE, START_US + 210 * SECOND_US, START_US + 8 * MINUTE_US)
    assert _share_failed(before, INCIDENT_API) < 0.03
    assert 0.28 < _share_failed(during, INCIDENT_API) < 0.42
    assert _share_failed(after, INCIDENT_API) < 0.03
    assert _share_failed(during, "tracking") < 0.03


def test_an_incident_is_slow_and_answers_502_and_504() -> None:
    window = (START_US, START_US + 10 * MINUTE_US)
    quiet = Scenario(rate_per_s=40.0, shape="flat")
    bad = replace(quiet, incidents=(Incident(INCIDENT_API, *window),))
    usual, incident = generate(COMPANY, quiet, *window), generate(COMPANY, bad, *window)
    np.testing.assert_array_equal(usual.ids, incident.ids)
    changed = usual.status != incident.status
    assert set(incident.status[changed].tolist()) == {502, 504}
    assert (incident.upstream_ms[incident.status == 504] >= UPSTREAM_TIMEOUT_MS).all()
    slower = changed | (usual.upstream_ms != incident.upstream_ms)
    assert np.nanmedian(incident.upstream_ms[slower]) > 4 * np.nanmedian(usual.upstream_ms[slower])


def test_the_retry_storm_is_let_through_up_to_the_limit_of_each_minute() -> None:
    storm = Burst(START_US, HOUR_US, 3 * MINUTE_US, 12.0)
    scenario = Scenario(
        rate_per_s=0.0, shape="flat", retry_storm=storm, health_check_period_us=None
    )
    requests = generate(COMPANY, scenario, START_US, START_US + 5 * MINUTE_US)
    assert set(requests.consumer.tolist()) == {COMPANY.noisy}
    limit = COMPANY.consumers[COMPANY.noisy].plan.rate_limit_per_minute
    passed = requests.outcome != RATE_LIMITED
    per_minute = Counter((requests.time_us[passed] // MINUTE_US).tolist())
    assert set(per_minute.values()) == {limit}
    assert (requests.status[~passed] == 429).all()
    assert np.isnan(requests.upstream_ms[~passed]).all()


def test_the_quota_is_used_up_to_the_request_and_then_refused() -> None:
    story = QuotaStory(START_US, 49_990, 2 * SECOND_US)
    scenario = Scenario(rate_per_s=5.0, shape="flat", quota=story)
    requests = generate(COMPANY, scenario, START_US, START_US + MINUTE_US)
    own = requests.take(requests.consumer == COMPANY.almost_out)
    assert own.quota_remaining.tolist() == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0] + [0] * 20
    exceeded = own.outcome == QUOTA_EXCEEDED
    assert exceeded.tolist() == [False] * 10 + [True] * 20
    assert (own.status[exceeded] == 429).all()


def test_history_leaves_the_consumer_just_below_its_quota() -> None:
    start, end = START_US - 7 * DAY_US, START_US
    scenario = history_scenario(start, end, rate_per_s=10.0)
    assert scenario.quota is not None
    used = (end - scenario.quota.start_us) // scenario.quota.interval_us
    assert 49_700 < used < 50_000


def test_the_scanner_gets_nothing_but_404_and_401_from_one_address() -> None:
    scenario = replace(LIVE, scan=Burst(START_US, HOUR_US, MINUTE_US, 4.0))
    requests = generate(COMPANY, scenario, START_US, START_US + MINUTE_US)
    scan = requests.take(requests.address == COMPANY.scanner_address)
    assert len(scan) == 240
    assert set(scan.status.tolist()) == {401, 404}
    assert (scan.consumer == -1).all()
    assert (scan.outcome[scan.status == 401] == UNAUTHORIZED).all()


def test_every_api_is_health_checked_once_a_period() -> None:
    scenario = Scenario(rate_per_s=0.0, shape="flat", health_check_period_us=12 * SECOND_US)
    requests = generate(COMPANY, scenario, START_US, START_US + MINUTE_US)
    checks = Counter(COMPANY.operations[i].path_head for i in requests.operation.tolist())
    assert len(checks) == 12
    assert set(checks.values()) == {5}


def test_outcomes_agree_with_statuses() -> None:
    requests = generate(COMPANY, LIVE, START_US, START_US + 20 * MINUTE_US)
    allowed = {
        "ok": range(200, 300),
        "redirect": range(300, 400),
        "client_error": set(range(400, 500)) - {401, 403, 429},
        "unauthorized": {401, 403},
        "rate_limited": {429},
        "quota_exceeded": {429},
        "server_error": range(500, 600),
        "aborted": {0},
    }
    seen = set(zip(requests.outcome.tolist(), requests.status.tolist(), strict=True))
    for outcome, status in seen:
        assert status in allowed[OUTCOMES[outcome]]
    assert {OUTCOMES[outcome] for outcome, _ in seen} == set(OUTCOMES)
    assert (requests.response_bytes[requests.outcome == ABORTED] == 0).all()


def test_consumers_call_only_what_they_subscribed_to() -> None:
    requests = generate(COMPANY, LIVE, START_US, START_US + 10 * MINUTE_US)
    for consumer, operation in set(
        zip(requests.consumer.tolist(), requests.operation.tolist(), strict=True)
    ):
        api = COMPANY.operations[operation].api
        if consumer >= 0:
            assert api is not None
            assert api.product in COMPANY.consumers[consumer].products


def test_the_past_of_the_demonstration_goes_over_into_live_traffic_without_a_step() -> None:
    for hour in range(0, 168, 5):
        now = START_US + hour * HOUR_US
        past = history_scenario(
            now - DAY_US, now, rate_per_s=6.0, growth=Growth(now, DEMO_RISE_US, DEMO_GROWTH_FLOOR)
        )
        live = live_scenario(now, rate_per_s=6.0)
        assert sum(region_rates(past, COMPANY, now)) == sum(region_rates(live, COMPANY, now))


def test_the_command_starts_the_demonstration_at_its_rate() -> None:
    assert cli.DEMO_RATE_PER_S == DEMO_RATE_PER_S
