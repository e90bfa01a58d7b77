"""Kinds of clients on lists that others keep: crawlers, and browsers of people."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from collector.naming.clients import client_kind
from tests.collector.receivers.test_peers import fetch

pytestmark = [pytest.mark.peer, pytest.mark.timeout(400)]


def test_few_crawlers_pass_for_people_and_no_people_for_anything_else(tmp_path: Path) -> None:
    fetch("lists of user agents", "npm", "install", "--no-audit", "--no-fund", "--prefix", ".",
          "crawler-user-agents@1.60.0", "user-agents@2.1.198", cwd=tmp_path)  # fmt: skip
    modules = tmp_path / "node_modules"
    patterns = json.loads((modules / "crawler-user-agents/crawler-user-agents.json").read_text())
    crawlers = [agent for pattern in patterns for agent in pattern.get("instances", [])]
    people = json.loads((modules / "user-agents/dist/user-agents.json").read_text())[:5000]
    kinds = Counter(map(client_kind, crawlers))
    assert kinds["browser"] + kinds["mobile"] <= 0.04 * len(crawlers)
    assert {client_kind(one["userAgent"]) for one in people} == {"browser", "mobile"}
    desktop = [one for one in people if one["deviceCategory"] == "desktop"]
    assert {client_kind(one["userAgent"]) for one in desktop} == {"browser"}
