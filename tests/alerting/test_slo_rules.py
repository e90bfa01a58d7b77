from __future__ import annotations

from alerting.slo_rules import slo_rules
from alerting.source import Point
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
    fast, slow = slo_rules(CATALOG)
    assert (fast.name, fast.severity) == ("slo-orders-up-fast", "critical")
    assert (slow.name, slow.severity) == ("slo-orders-up-slow", "warning")
    assert fast.filters.api == slow.filters.api == ("orders",)


def test_fast_burn_keeps_the_slow_one_quiet(tmp_path):
    world = make_world(tmp_path, "rules: []")
    world.engine.rules = slo_rules(CATALOG)
    world.source.answer = lambda *_: [Point((("api", "orders"),), 0.02, 10_000)]
    done = world.step()
    assert done.suppressed == 1
    (row,) = outbox_rows(world.state)
    (alert,) = row["payload"]["alerts"]
    assert alert["labels"]["burn"] == "fast"
    assert alert["annotations"]["summary"] == (
        "orders uses up its error budget 20.0x as fast as orders-up allows"
    )
