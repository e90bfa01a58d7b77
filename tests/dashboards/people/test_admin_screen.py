"""What the Admin screen's form changes, and what its CSV link asks for."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from tests.aio import run
from tests.dashboards.people.test_forged_actions import Press, press
from tests.dashboards.people.test_matrix import updates
from tests.dashboards.people.town import Town


def test_what_somebody_is_called_is_changed_and_an_empty_field_keeps_it(town: Town) -> None:
    def save(title: str) -> Press:
        form = {"user-name": "viewer", "user-role": "viewer", "user-title": title}
        return Press("user-save", "admin", form=form)

    async def ask() -> None:
        async with town.client("admin") as client:
            for title in ("Vera Viewer", ""):
                answer = await press(client, town, save(title))
                assert "viewer is Viewer now" in answer.text
                assert town.sign_in.users.get("viewer").title == "Vera Viewer"

    run(ask())


def test_the_csv_of_the_audit_log_is_narrowed_as_the_screen_is(town: Town) -> None:
    (body,) = (b for b in updates(town, "admin") if "admin-audit-csv.href" in b["output"])
    for part in body["inputs"]:
        part["value"] = {"audit-kind": "token", "audit-who": "an&n"}.get(part["id"], part["value"])

    async def ask() -> None:
        async with town.client("admin") as client:
            answer = await client.post("/_dash-update-component", json=body)
            href = json.loads(answer.text)["response"]["admin-audit-csv"]["href"]
            path, _, query = href.partition("?")
            asked = parse_qs(query)
            assert path == "/api/v1/audit"
            assert (asked["action"], asked["actor"], asked["format"]) == (
                ["token"],
                ["an&n"],
                ["csv"],
            )
            assert (await client.get(href)).status_code == 200

    run(ask())
