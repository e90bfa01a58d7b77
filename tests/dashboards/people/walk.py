"""What somebody is sent of one screen: its content, and what its callbacks answer."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from dashboards import roles
from dashboards.app import known_path
from tests.dashboards.people.test_matrix import updates
from tests.dashboards.people.town import MINE, OTHERS, Town

VIEW = {"search": "?from=now-1h", "mode": "dark"}


async def content(client: httpx.AsyncClient, path: str) -> str:
    """The screen at an address as the browser asks for it when it moves on inside the app."""
    body = {
        "output": "page.children",
        "outputs": {"id": "page", "property": "children"},
        "inputs": [{"id": "url", "property": "pathname", "value": path}],
        "state": [],
        "changedPropIds": ["url.pathname"],
    }
    answer = await client.post("/_dash-update-component", json=body)
    assert answer.status_code == 200, (path, answer.text)
    return answer.text


async def panels(
    client: httpx.AsyncClient, town: Town, key: str, given: dict[str, Any] | None = None
) -> dict[str, str]:
    """Output of each callback that fills a panel -> its answer, about the asker's own names and
    the last hour. given: id of a store -> what is in it. What does something is not asked."""
    found = {}
    for body in updates(town, key):
        sent = json.loads(json.dumps(body).replace(OTHERS, MINE))
        if "n_clicks" in json.dumps(sent["inputs"]):
            continue
        for part in (*sent["inputs"], *sent["state"]):
            if isinstance(part, dict) and part["id"] == "view":
                part["value"] = VIEW
            elif isinstance(part, dict) and part["id"] in (given or {}):
                part["value"] = (given or {})[part["id"]]
        answer = await client.post("/_dash-update-component", json=sent)
        assert answer.status_code in (200, 204), (key, body["output"], answer.text)
        found[body["output"]] = answer.text
    return found


def wrong_links(text: str, may: frozenset[str]) -> list[str]:
    """Links in an answer that lead nowhere, or where somebody with these permissions may not go."""
    found = set(re.findall(r'"href": ?"(/[^"?#]*)', text))
    return sorted(path for path in found if not _leads(path, may))


def _leads(path: str, may: frozenset[str]) -> bool:
    if path.startswith("/api/"):
        wanted = roles.api_permissions(path)
        return wanted is not None and (not wanted or bool(may & set(wanted)))
    if path.startswith(("/assets/", "/branding/")):
        return True
    return known_path(path) and roles.PAGES[path.split("/")[1]] in may
