from __future__ import annotations

from alerting.point import Point
from alerting.slo_rules import slo_rules
from storage.catalog import Api, Catalog, Slo
from tests.alerting.world import make_world, outbox_rows

CATALOG = Catalog(
    apis=(Api(name="orders"),),
    slos=(
        Slo(name="orders-up", api="orders", objective=0.999),
        Slo(name="orders-quick", api="orders", objective=0.95, kind="latency", threshold_ms=300),
    ),
)


def test_availability_slo_gives_a_fast_and_a_slow_rule():
    fast, slow, *_ = slo_rules(CATALOG)
    assert (fast.name, fast.severity) == ("slo-orders-up-fast", "critical")
    assert (slow.name, slow.severity) == ("slo-orders-up-slow", "warning")
    assert fast.filters.api == slow.filters.api == ("orders",)


def test_fast_burn_keeps_the_slow_one_quiet(tmp_path):
    world = make_world(tmp_path, "rules: []")
    world.engine.rules = slo_rules(CATALOG)[:2]
    world.source.answer = lambda *_: [Point((("api", "orders"),), 0.02, 10_000)]
    done = world.step()
    assert done.suppressed == 1
    (row,) = outbox_rows(world.state)
    (alert,) = row["payload"]["alerts"]
    assert alert["labels"]["burn"] == "fast"
    assert alert["annotations"]["summary"] == (
        "orders uses up its error budget 20.0x as fast as orders-up allows"
    )


def test_latency_slo_burns_on_slow_requests_and_says_what_that_means(tmp_path):
    """6 of 100 requests in the hour are slow where 5 of 1,000 may be: 12 times too many."""
    slo = Slo(name="quick", api="orders", objective=0.995, kind="latency", threshold_ms=300)
    world = make_world(tmp_path, "rules: []")
    world.engine.rules = slo_rules(Catalog(apis=(Api(name="orders"),), slos=(slo,)))
    asked = []

    def answer(name, start, end, *_):
        asked.append(name)
        month = end - start > 86_400
        return [Point((("api", "orders"),), 0.0025 if month else 0.08, 10_000)]

    world.source.answer = answer
    world.step()
    assert set(asked) == {"slower_than_300"}
    alert = outbox_rows(world.state)[0]["payload"]["alerts"][0]
    assert alert["labels"]["burn"] == "fast"
    assert alert["annotations"]["description"] == (
        "At this rate the month's budget for requests over 300 ms is gone in 22 h 30 min; "
        "50 % left."
    )
