"""The reference pages say what the code says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gatelens.reference import PAGES, field_documentation, people_page
from gatelens.settings import section_fields

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_what_the_code_says(page: str) -> None:
    assert (DOCS / page).read_text(encoding="utf-8") == PAGES[page](), "run `make docs`"


def test_every_setting_is_documented() -> None:
    missing = [
        f"{section}.{field.name}"
        for section, cls in section_fields().items()
        for field in dataclasses.fields(cls)
        if not field_documentation(cls).get(field.name)
    ]
    assert missing == []


def test_the_page_about_people_has_the_roles_of_the_code() -> None:
    page = (DOCS / "people.md").read_text("utf-8")
    assert page == people_page(page)
    assert "`alerts.manage`" in page
