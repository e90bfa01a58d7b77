"""A dashboard built by mouse in a real browser, saved, shared; two people who save at once."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser import Troubles, wait_for_screen
from tests.dashboards.conftest import Running

pytestmark = pytest.mark.browser

HOUR = "from=now-1h&to=now&refresh=off"


@pytest.mark.slow
def test_a_dashboard_is_built_by_mouse_and_keeps_its_places(page: Page, server: Running) -> None:
    troubles = Troubles(page)
    page.goto(f"{server.url}/dashboards?{HOUR}")
    page.get_by_role("button", name="New dashboard").first.click()
    page.locator("#gl-dialog input[name=title]").fill("Built by mouse")
    page.locator("#gl-dialog").get_by_role("button", name="Create").click()

    page.get_by_role("button", name="Add a panel").first.click()
    expect(
        page.locator("#editor-preview .js-plotly-plot .scatterlayer .trace").first
    ).to_be_visible()
    page.get_by_role("button", name="Add panel", exact=True).click()
    page.locator(".gl-board.grid-stack .gl-cell").first.wait_for()
    page.get_by_role("button", name="Add a panel").first.click()
    page.get_by_role("radio", name="Bars").click()
    expect(page.locator("#editor-preview .gl-rank")).to_have_count(3)
    page.get_by_role("button", name="Add panel", exact=True).click()
    cells = page.locator(".gl-board.grid-stack .gl-cell")
    expect(cells).to_have_count(2)
    expect(cells.nth(1).locator(".gl-rank").first).to_be_visible()

    # The second panel, put to the right of the first, is dragged below it; the first made wider.
    head = cells.nth(1).locator(".gl-grip").bounding_box()
    assert head
    page.mouse.move(head["x"] + 120, head["y"] + 14)
    page.mouse.down()
    page.mouse.move(head["x"] + 120, head["y"] + 430, steps=6)
    page.mouse.move(head["x"] - 460, head["y"] + 430, steps=6)
    page.mouse.up()
    cells.nth(0).focus()
    for _ in range(6):
        page.keyboard.press("Shift+ArrowRight")
    page.wait_for_function("() => gatelens.board.draft.panels[0].at.w === 12")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator("#gl-dialog input[name=note]").fill("Two panels")
    page.locator("#gl-dialog").get_by_role("button", name="Save").click()
    expect(page.locator("#gl-toast")).to_have_text("Saved as version 2.")
    wait_for_screen(page)

    name = page.url.split("/dashboards/")[1].split("?")[0]
    saved = httpx.get(f"{server.url}/api/v1/dashboards/{name}", trust_env=False).json()
    places = [p["at"] for p in saved["definition"]["panels"]]
    assert places[0]["w"] == 12
    assert places[1].get("x", 0) < 6
    assert places[1]["y"] >= 6
    assert saved["definition"]["panels"][0]["title"] == "Requests per second by API"
    assert troubles.seen == []


def test_whoever_saves_second_sees_who_was_first_and_loses_nothing(
    page: Page, server: Running
) -> None:
    api = f"{server.url}/api/v1/dashboards"
    text = {"id": "t", "kind": "text", "text": "Hello", "at": {"w": 6, "h": 3}}
    start = {"title": "Shared work", "panels": [text]}
    name = httpx.post(api, json={"definition": start}, trust_env=False).json()["id"]
    page.goto(f"{server.url}/dashboards/{name}?{HOUR}")
    page.get_by_role("button", name="Edit", exact=True).click()
    cell = page.locator(".gl-board.grid-stack .gl-cell")
    cell.focus()
    page.keyboard.press("ArrowRight")
    other = {"definition": {**start, "title": "Theirs"}, "seen": 1, "note": ""}
    assert httpx.put(f"{api}/{name}", json=other, trust_env=False).status_code == 200

    page.get_by_role("button", name="Save", exact=True).click()
    page.locator("#gl-dialog").get_by_role("button", name="Save").click()
    said = page.locator("#gl-dialog.conflict")
    expect(said).to_contain_text("saved version 2 in the meantime")
    expect(said.locator("li")).to_have_text("Title: “Shared work” → “Theirs”.")
    said.get_by_role("button", name="Go on editing").click()
    assert page.evaluate("() => gatelens.board.draft.panels[0].at.x") == 1
    assert httpx.get(f"{api}/{name}", trust_env=False).json()["version"] == 2


def test_what_was_not_saved_is_kept_and_never_saved_over_somebody_elses(
    page: Page, server: Running
) -> None:
    api = f"{server.url}/api/v1/dashboards"
    text = {"id": "t", "kind": "text", "text": "Hello", "at": {"w": 6, "h": 3}}
    start = {"title": "Kept work", "panels": [text]}
    name = httpx.post(api, json={"definition": start}, trust_env=False).json()["id"]
    page.goto(f"{server.url}/dashboards/{name}?{HOUR}")
    page.get_by_role("button", name="Edit", exact=True).click()
    cell = page.locator(".gl-board.grid-stack .gl-cell")
    cell.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => gatelens.board.dirty")
    page.evaluate("() => gatelens.go('/dashboards')")
    toast = page.locator("#gl-toast")
    expect(toast).to_contain_text("your changes are kept in this tab")
    other = {"definition": {**start, "title": "Theirs"}, "seen": 1, "note": ""}
    assert httpx.put(f"{api}/{name}", json=other, trust_env=False).status_code == 200

    page.reload()
    page.goto(f"{server.url}/dashboards/{name}?{HOUR}")
    expect(toast).to_contain_text("and did not save")
    toast.get_by_role("button", name="Go on editing").click()
    expect(page.locator(".gl-board .gl-cell")).to_have_attribute("data-at", "1,0,6,3")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator("#gl-dialog").get_by_role("button", name="Save").click()
    said = page.locator("#gl-dialog.conflict")
    expect(said).to_contain_text("saved version 2 in the meantime")
    said.get_by_role("button", name="Save over version 2").click()
    expect(toast).to_have_text("Saved as version 3.")
    saved = httpx.get(f"{api}/{name}", trust_env=False).json()
    assert saved["definition"]["panels"][0]["at"]["x"] == 1
    assert page.evaluate("() => sessionStorage.length") == 0


@pytest.mark.slow
def test_a_ready_made_dashboard_is_filled_and_its_public_link_shows_the_same(
    page: Page, server: Running
) -> None:
    troubles = Troubles(page)
    page.goto(f"{server.url}/dashboards/t-api-product-health?{HOUR}")
    wait_for_screen(page, 90)
    number = page.locator("#panel-requests .gl-number [data-value]")
    expect(number).to_have_attribute("data-value", str(float(len(server.calls))))
    expect(page.locator("#panel-share .gl-tree-cell").first).to_be_visible()

    page.get_by_label("API: All").click()
    page.locator(".gl-variable[open] .gl-menu-item", has_text="payments").locator("input").check()
    page.get_by_role("button", name="Apply").click()
    mine = sum(c.api == "payments" for c in server.calls)
    expect(number).to_have_attribute("data-value", str(float(mine)))
    assert "api=payments" in page.url

    made = httpx.get(f"{server.url}/api/v1/dashboards/t-api-product-health", trust_env=False)
    api = f"{server.url}/api/v1/dashboards"
    mine_now = httpx.post(api, json={"definition": made.json()["definition"]}, trust_env=False)
    wanted = {"days": 1, "search": page.url.split("?")[1]}
    link = httpx.post(f"{api}/{mine_now.json()['id']}/links", json=wanted, trust_env=False)
    page.goto(server.url + link.json()["path"])
    expect(page.locator(".gl-board .gl-number [data-value]").first).to_have_attribute(
        "data-value", str(float(mine))
    )
    expect(page.locator(".gl-board .js-plotly-plot .scatterlayer").first).to_be_visible()
    assert page.evaluate("() => 'dash_clientside' in window") is False
    assert troubles.seen == []
