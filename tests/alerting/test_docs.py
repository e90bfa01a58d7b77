"""What the documentation shows is taken as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import alerting.channels
from alerting.channels import parse_delivery
from alerting.rules import parse_rules

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"


def block(name: str) -> str:
    (found,) = re.findall(rf"^```yaml {name}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return found


def test_rules_about_rows_on_the_page_load():
    kinds = [rule.kind for rule in parse_rules(block("match"))]
    assert kinds == ["log_match", "trace_match", "probe", "pipeline"]


def test_rotations_and_maintenance_on_the_page_load():
    delivery = parse_delivery(block("people"))
    assert [rotation.name for rotation in delivery.rotations] == ["on-call"]
    assert [window.name for window in delivery.maintenance] == ["releases", "move"]
    assert [step.after_s for step in delivery.root.escalations] == [900, 1800]


@pytest.mark.parametrize("missing", ["ana", "ben"])
def test_example_on_top_of_the_module_loads_once_its_people_are_there(missing):
    text = (alerting.channels.__doc__ or "").split("\n\n", 1)[1]
    person = f"  - {{name: {missing}, type: webhook, url: 'https://x.example'}}\n"
    both = "".join(person.replace(missing, name) for name in ("ana", "ben"))
    parse_delivery(text.replace("channels:\n", "channels:\n" + both, 1))
