"""Plans know every field that `opentelemetry-proto` has, so that none is lost unnoticed."""

from __future__ import annotations

from typing import Any

import pytest

from collector.otlp.plan import LOGS, METRICS, TRACES, Plan
from collector.otlp.scan import SCRATCH
from tests.collector.otlp.reference import REQUESTS

PLANS = {"otlp_traces": TRACES, "otlp_logs": LOGS, "otlp_metrics": METRICS}
PROFILES_ONLY = {"key_strindex"}


def scalar_fields(descriptor: Any, seen: set[str]) -> set[str]:
    """Names of all scalar fields below a message, oneof members under the name of their oneof."""
    if descriptor.full_name in seen:
        return set()
    seen.add(descriptor.full_name)
    names = set()
    for field in descriptor.fields:
        if field.message_type is not None:
            names |= scalar_fields(field.message_type, seen)
        else:
            oneof = field.containing_oneof
            names.add(oneof.name if oneof is not None and len(oneof.fields) > 1 else field.name)
    return names


def planned(plan: Plan) -> set[str]:
    paths = [path for table in (*plan.slots.values(), *plan.bits.values()) for path in table]
    return {path.rsplit(".", 1)[-1] for path in paths}


@pytest.mark.parametrize("format_name", sorted(PLANS))
def test_every_field_of_the_protocol_has_a_place(format_name: str) -> None:
    wanted = scalar_fields(REQUESTS[format_name].DESCRIPTOR, set()) - PROFILES_ONLY
    assert wanted - planned(PLANS[format_name]) == set()
    assert {"schema_url", "dropped_attributes_count", "id_keys"} <= wanted


@pytest.mark.parametrize("format_name", sorted(PLANS))
def test_rows_fit_the_scratch_slots_and_the_bits_of_one_slot(format_name: str) -> None:
    plan = PLANS[format_name]
    assert plan.widths.max() <= SCRATCH
    assert max(len(bits) for bits in plan.bits.values()) < 63
