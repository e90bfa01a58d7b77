"""Name, logo and colours of an installation: what cannot be read or could run is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dashboards.branding import (
    CONTRAST_LEAST,
    contrast,
    load_brand,
    readable,
    svg_problem,
    worst_contrast,
)
from dashboards.errors import DashboardStartError
from dashboards.settings import DashboardSettings
from dashboards.theme import MODES, Mode, css
from storage.settings import StorageSettings
from tests.dashboards.conftest import serving

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">{}</svg>'
GOOD = SVG.format('<path d="M0 0h8v8z" fill="url(#g)"/><defs><linearGradient id="g"/></defs>')


def test_our_own_accents_can_be_read() -> None:
    for mode, tokens in MODES.items():
        assert worst_contrast(mode, tokens.accent) >= CONTRAST_LEAST, mode


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    # The extremes, and the two greys that WCAG's own examples put just above and below 4.5.
    [("#000000", "#ffffff", 21.0), ("#ffffff", "#ffffff", 1.0),
     ("#767676", "#ffffff", 4.54), ("#777777", "#ffffff", 4.48)],
)  # fmt: skip
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize("mode", ["dark", "light"])
@pytest.mark.parametrize("colour", ["#808080", "#ff0000", "#0000ff", "#ffff00", "#101010"])
def test_a_colour_that_cannot_be_read_is_refused_with_one_that_can(mode: Mode, colour: str) -> None:
    near = readable(mode, colour)
    assert worst_contrast(mode, near) >= CONTRAST_LEAST
    if worst_contrast(mode, colour) >= CONTRAST_LEAST:
        return
    given = {f"accent_{mode}": colour}
    with pytest.raises(DashboardStartError, match=near):
        load_brand(DashboardSettings(**given))
    load_brand(DashboardSettings(**{f"accent_{mode}": near}))


@pytest.mark.parametrize("colour", ["red", "#fff", "#12345g", "#2463d6;}body{display:none"])
def test_what_is_no_colour_is_refused(colour: str) -> None:
    with pytest.raises(DashboardStartError, match="such as #2463d6"):
        load_brand(DashboardSettings(accent_light=colour))


def test_an_accent_reaches_the_style_of_its_mode_alone() -> None:
    brand = load_brand(DashboardSettings(accent_light="#0A5EA8"))
    text = css(brand.accents)
    assert text.count("--gl-accent:#0a5ea8") == 1
    assert f"--gl-accent:{MODES['dark'].accent}" in text


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<path onload="alert(1)"/>',
        "<foreignObject><body/></foreignObject>",
        '<image href="https://spy.example/x.png"/>',
        '<use href="https://spy.example/x.svg#a"/>',
        '<use xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="data:image/svg+xml,x"/>',
        '<path fill="url(https://spy.example/#a)"/>',
        '<path style="background:url( &quot;//spy.example&quot;)"/>',
        "<style>@import 'https://spy.example/x.css'</style>",
        '<a href="javascript:alert(1)"><path/></a>',
        '<set attributeName="href" to="javascript:alert(1)"/>',
        '<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
    ],
)
def test_an_svg_that_does_more_than_draw_is_refused(inside: str, tmp_path: Path) -> None:
    assert svg_problem(SVG.format(inside).encode())
    logo = tmp_path / "logo.svg"
    logo.write_text(SVG.format(inside))
    with pytest.raises(DashboardStartError, match="cannot be used"):
        load_brand(DashboardSettings(logo=str(logo)))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"GIF89a", b"<html></html>", b"\xff\xfe<svg/>",
        b'<!DOCTYPE svg [<!ENTITY a "x">]>' + GOOD.encode(),
        b'<?xml-stylesheet href="x"?>' + GOOD.encode(),
        b"<svg>" + b"x" * 100,
    ],
)  # fmt: skip
def test_a_file_that_is_no_picture_is_refused(content: bytes) -> None:
    assert svg_problem(content)
    assert svg_problem(GOOD.encode()) == ""


def test_a_logo_that_is_missing_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DashboardStartError, match="cannot be read"):
        load_brand(DashboardSettings(logo=str(tmp_path / "none.svg")))
    large = tmp_path / "large.png"
    large.write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 200_000)
    with pytest.raises(DashboardStartError, match="200,008 bytes"):
        load_brand(DashboardSettings(logo=str(large)))


@pytest.fixture
def branded(tmp_path: Path) -> Iterator[str]:
    logo = tmp_path / "logo.svg"
    logo.write_text(GOOD)
    settings = DashboardSettings(
        port=0, title="Northwind <APIs>", logo=str(logo), accent_light="#0a5ea8"
    )
    with serving(StorageSettings(data_dir=tmp_path / "data"), settings=settings) as (url, _data):
        yield url


def test_screens_and_public_links_wear_the_brand(branded: str) -> None:
    with httpx.Client(base_url=branded, trust_env=False, timeout=30) as client:
        for address in ("/", "/public"):
            page = client.get(address).text
            assert "--gl-accent:#0a5ea8" in page
            assert "Northwind &lt;APIs&gt;" in page
        assert "/branding/logo?v=" in client.get("/public").text
        assert "/branding/logo?v=" in str(client.get("/_dash-layout").json())
        logo = client.get("/branding/logo")
        assert logo.headers["content-type"] == "image/svg+xml"
        assert "sandbox" in logo.headers["content-security-policy"]
        assert logo.text == GOOD
