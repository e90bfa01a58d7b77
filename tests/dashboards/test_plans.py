"""Plans, quotas and objectives as the screens tell them; pure, on values written here."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import polars as pl
import pyarrow as pa
import pytest
from plotly import graph_objects as go

from analytics.plan_fit import PlanFit
from analytics.quota import QuotaForecast, QuotaUsage
from analytics.timerange import TimeRange
from dashboards import format as fmt
from dashboards import identity
from dashboards.custom.html_text import to_html
from dashboards.figures.result import result_chart
from dashboards.figures.service_map import columns_of, service_map
from dashboards.pages.products import state_stats, totals
from dashboards.panels.plan_panels import TOO_EARLY, fit_table, plan_uses
from dashboards.panels.quota_panels import (
    NOT_COUNTED,
    NOT_YOURS,
    at_risk,
    forecast_text,
    quota_bar,
    quota_stat,
    quota_table,
)
from dashboards.panels.slo_panels import budget_tone
from dashboards.panels.trace_heat import parse_box
from dashboards.view import parse_view
from storage.catalog import Catalog
from storage.row_scope import RowScope
from tests.dashboards.conftest import Running

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MONTH = TimeRange(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def usage(used: int, *, limit: int = 100, runs_out: datetime | None = None) -> QuotaUsage:
    ahead = QuotaForecast(runs_out, runs_out, runs_out, float(used * 1.5), None)
    return QuotaUsage("app", None, "free", None, "month", MONTH, limit, used, 0, ahead)


@pytest.mark.parametrize(
    ("quota", "told", "risk"),
    [
        (usage(10), "lasts the month", False),
        (usage(85), "lasts the month", True),
        (usage(100), "used up", True),
        (usage(10, runs_out=NOW + timedelta(minutes=5)), "runs out within the hour", True),
        (usage(10, runs_out=NOW + timedelta(days=2)), "runs out 23 Nov 12:00 UTC", True),
    ],
)
def test_a_quota_says_when_it_runs_out(quota: QuotaUsage, told: str, risk: bool) -> None:
    assert forecast_text(quota, NOW) == told
    assert at_risk(quota) is risk


def test_people_of_some_apis_are_told_why_there_is_no_quota() -> None:
    def said() -> str:
        view = parse_view("", now=NOW)
        cards = [quota_stat([], view.query(), id="q"), *state_stats([], [], [])]
        return json.dumps([c.hint for c in cards]) + to_html(quota_table([], view, NOW))

    assert NOT_COUNTED not in said()
    assert "No consumer of the catalog" in said()
    with identity.acting_as(replace(identity.LOCAL, scope=RowScope(apis=("orders",)))):
        assert said().count(NOT_COUNTED) == 6
        assert NOT_YOURS.split("'")[0] in said()
    with identity.acting_as(replace(identity.LOCAL, scope=RowScope(consumers=("app",)))):
        assert NOT_COUNTED not in said()


def test_a_quota_bar_never_leaves_its_frame() -> None:
    ahead, used = quota_bar(usage(900)).children

    assert (ahead.style["width"], used.style["width"]) == ("100.0%", "100.0%")


def test_currencies_are_never_added_up() -> None:
    assert totals([]) == {}
    assert fmt.money(Decimal("1234.5"), "EUR").startswith("1,234")
    assert fmt.money(Decimal("9.5"), "USD").startswith("9.50")


def test_a_plan_counts_its_consumers_and_their_quotas_together() -> None:
    catalog = Catalog.model_validate(
        {
            "plans": [{"name": "free", "quota_per_month": 100}],
            "consumers": [{"name": "app", "plan": "free"}, {"name": "other", "plan": "free"}],
        }
    )

    fits = [
        PlanFit("app", "free", 900, "too_small", None, "gold", Decimal("9.00")),
        PlanFit("other", "free", 10, "fits", None, None, None),
    ]
    (plan,) = plan_uses(catalog, [usage(90), usage(10)], [], fits)

    assert (plan.consumers, plan.share, plan.risk, plan.wrong) == (2, 0.5, 1, 1)


def test_only_consumers_on_a_wrong_plan_are_listed_with_what_would_serve_them() -> None:
    fits = [
        PlanFit("app", "free", 900, "too_small", None, "gold", Decimal("9.00")),
        PlanFit("other", "free", 10, "fits", None, None, None),
        PlanFit("quiet", "free", 0, "idle", None, None, None),
    ]
    shown = str(fit_table(fits, Catalog(), parse_view("", now=NOW)))
    assert "too small" in shown
    assert "gold" in shown
    assert "other" not in shown
    assert "quiet" not in shown


def test_less_than_a_month_of_data_does_not_say_that_every_plan_fits() -> None:
    fits = [PlanFit("app", "free", 9, "early", None, None, None)]
    assert TOO_EARLY in to_html(fit_table(fits, Catalog(), parse_view("", now=NOW)))
    (card,) = [c for c in state_stats([], [], fits) if c.id == "products-wrong"]
    assert (card.value, card.tone) == (0, "")
    assert "30 days tell more" in card.hint


def test_an_unmeasured_budget_is_not_shown_as_healthy() -> None:
    assert budget_tone(None) == "muted"
    assert [budget_tone(left) for left in (1.0, 0.2, 0.0, -3.0)] == ["good", "warn", "bad", "bad"]


@pytest.mark.parametrize(
    "text",
    [None, "", "a,b,c,d", "2026-11-21T10:00:00,2026-11-21T09:00:00,1,2", "1,2,3",
     "2026-11-21T10:00:00,2026-11-21T11:00:00,nan,2",
     "2026-11-21T10:00:00,2026-11-21T11:00:00,5,1e9"],
)  # fmt: skip
def test_a_box_that_is_none_is_left_out(text: str | None) -> None:
    assert parse_box(text) is None


def test_a_box_keeps_its_corners() -> None:
    box = parse_box("2026-11-21T10:00:00,2026-11-21T11:00:00.5,10.5,20")

    assert box is not None
    assert (box.start.hour, box.end.hour, box.low) == (10, 11, 10.5)
    assert 0 < box.low_ns < box.high_ns


def test_services_stand_right_of_their_callers_and_circles_end() -> None:
    assert columns_of([("a", "b"), ("b", "c"), ("a", "c")]) == {"a": 0, "b": 1, "c": 2}
    assert set(columns_of([("a", "b"), ("b", "a"), ("b", "c")])) == {"a", "b", "c"}
    assert columns_of([("a", "a")]) == {"a": 0}


def test_service_map_is_a_valid_chart_and_escapes_names() -> None:
    edges = pl.DataFrame(
        {"source": ["<b>x"], "target": ["y"], "calls": [10], "errors": [1], "p95_ms": [3.0]}
    )

    drawn = service_map(edges, "dark", seconds=60.0, empty="none").to_plotly_json()

    go.Figure(drawn)
    assert drawn["data"][-1].pop("customdata") == ["<b>x", "y"]  # for the address, never drawn
    assert "<b>x" not in json.dumps(drawn["data"])
    assert drawn["data"][1]["text"] == ["0.167\u202f/s"]


@pytest.mark.parametrize(
    ("table", "kinds"),
    [
        (pa.table({"api": ["a", "b"], "n": [1, 2]}), ["bar"]),
        (pa.table({"time": [NOW, NOW - timedelta(hours=1)], "n": [1, None]}), ["scatter"]),
        (pa.table({"n": [1]}), []),
        (pa.table([pa.array(["a"]), pa.array(["b"])], names=["x", "x"]), []),
    ],
)
def test_a_result_is_drawn_where_it_can_be(table: pa.Table, kinds: list[str]) -> None:
    drawn = result_chart(table, "light").to_plotly_json()

    assert [trace["type"] for trace in go.Figure(drawn).to_plotly_json()["data"]] == kinds


def test_relative_ranges_have_names() -> None:
    view = parse_view("?from=now-30m&compare=1", now=NOW)

    assert view.label == "Last 30 minutes"
    assert view.compared and "compare=1" in view.query()
    assert view.previous().end == view.start


def test_analytics_over_http_give_the_numbers_of_the_screens(server: Running) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as http:
        answer = http.get("/api/v1/analytics/overview", params={"start": "now-1h"})
        refused = http.get("/api/v1/analytics/overview", params={"start": "yesterdayish"})
        docs = http.get("/api/docs").text

    assert answer.json()["overview"]["requests"] == len(server.calls)
    assert refused.status_code == 400
    assert "/api/v1/analytics/breakdown" in docs
