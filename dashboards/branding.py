"""How an installation presents itself: name, logo, accent colours. Read once, checked, and used by
the screens, the login, public links and reports alike.

A logo is a small SVG or PNG file. An SVG may only draw: scripts, links, foreign content and
references to elsewhere are refused, and it is served with a policy that would not run them anyway.
Accent colours must be readable on our grounds (WCAG 2.2, 1.4.3: 4.5 to 1), for links and buttons.
"""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dash import html

from dashboards.components import Component
from dashboards.errors import DashboardStartError
from dashboards.serving.guards import Send
from dashboards.settings import DashboardSettings
from dashboards.theme import BUTTON_TEXT, MODES, Mode

LOGO_PATH = "/branding/logo"
LOGO_BYTES_MAX = 200_000
CONTRAST_LEAST = 4.5

LOGO_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"public, max-age=86400"),
)

_DRAWING = frozenset(
    (
        "svg",
        "g",
        "path",
        "rect",
        "circle",
        "ellipse",
        "line",
        "polyline",
        "polygon",
        "text",
        "tspan",
        "defs",
        "linearGradient",
        "radialGradient",
        "stop",
        "clipPath",
        "mask",
        "title",
        "desc",
        "use",
        "symbol",
        "pattern",
    )  # fmt: skip
)
_SVG = "{http://www.w3.org/2000/svg}"
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Logo:
    """A checked picture."""

    content: bytes
    media_type: str

    @property
    def address(self) -> str:
        """Where the screens get it; another file has another address."""
        return f"{LOGO_PATH}?v={hashlib.sha256(self.content).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Brand:
    name: str
    logo: Logo | None
    accents: Mapping[Mode, str]
    """Only modes whose accent is not ours."""

    def mark(self) -> Component:
        """Logo and name, as they stand top left."""
        mark = (
            html.Img(src=self.logo.address, alt="", className="gl-brand-logo")
            if self.logo
            else html.I(className="gl-brand-mark")
        )
        return [mark, html.Span(self.name)]


async def send_logo(send: Send, logo: Logo) -> None:
    headers = [(b"content-type", logo.media_type.encode()), *LOGO_HEADERS]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": logo.content})


def load_brand(settings: DashboardSettings) -> Brand:
    """Raises DashboardStartError with what to do."""
    accents: dict[Mode, str] = {}
    if settings.accent_dark:
        accents["dark"] = _checked_accent("dark", settings.accent_dark)
    if settings.accent_light:
        accents["light"] = _checked_accent("light", settings.accent_light)
    logo = read_logo(Path(settings.logo)) if settings.logo else None
    return Brand(settings.title, logo, MappingProxyType(accents))


def read_logo(path: Path) -> Logo:
    """Raises DashboardStartError when it cannot be used."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= LOGO_BYTES_MAX else b""
    except OSError as err:
        raise DashboardStartError(f"The logo {path} cannot be read: {err.strerror}.") from err
    if size > LOGO_BYTES_MAX:
        raise DashboardStartError(
            f"The logo {path} has {size:,} bytes; up to {LOGO_BYTES_MAX:,} are taken."
        )
    if content.startswith(_PNG):
        return Logo(content, "image/png")
    wrong = svg_problem(content)
    if wrong:
        raise DashboardStartError(f"The logo {path} cannot be used: {wrong}.")
    return Logo(content, "image/svg+xml")


def svg_problem(content: bytes) -> str:
    """Why a file is no SVG that only draws; '' = it is one."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"<?xml-stylesheet" in content:
        return "it has a DOCTYPE, an entity or a style sheet; save it as plain SVG"
    try:
        root = ET.fromstring(content)
    except (ET.ParseError, ValueError):
        return "it is neither a PNG nor an SVG file"
    if root.tag != f"{_SVG}svg":
        return "it is not an SVG file"
    for element in root.iter():
        name = str(element.tag).removeprefix(_SVG)
        if name not in _DRAWING:
            return f"it has a <{name.rpartition('}')[2]}>, and only drawing is taken"
        for attribute, value in element.attrib.items():
            plain = attribute.rpartition("}")[2].lower()
            if plain.startswith("on"):
                return f"it has {plain}, which runs a script"
            elsewhere = plain == "href" and not value.startswith("#")
            if elsewhere or re.search(r"url\(\s*['\"]?(?!#)|@import|expression|javascript:", value):
                return f"its {plain} leads elsewhere"
    return ""


def contrast(one: str, other: str) -> float:
    """Ratio of two '#rrggbb' colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def worst_contrast(mode: Mode, accent: str) -> float:
    """As text on every ground of the mode, and under the text of a button."""
    grounds = MODES[mode]
    others = (grounds.bg, grounds.surface, grounds.raised, BUTTON_TEXT[mode])
    return min(contrast(accent, other) for other in others)


def readable(mode: Mode, accent: str) -> str:
    """The nearest colour of the same hue that is readable: lighter on dark, darker on light."""
    towards = 255 if mode == "dark" else 0
    parts = [int(accent[i : i + 2], 16) for i in (1, 3, 5)]
    for share in range(101):
        mixed = [round(c + (towards - c) * share / 100) for c in parts]
        found = "#" + "".join(f"{c:02x}" for c in mixed)
        if worst_contrast(mode, found) >= CONTRAST_LEAST:
            return found
    return MODES[mode].accent


def _checked_accent(mode: Mode, colour: str) -> str:
    setting = f"dashboard.accent_{mode}"
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        raise DashboardStartError(f"{setting} is a colour such as #2463d6, not {colour[:20]!r}.")
    colour = colour.lower()
    ratio = worst_contrast(mode, colour)
    if ratio < CONTRAST_LEAST:
        raise DashboardStartError(
            f"{setting} = {colour} cannot be read on the {mode} screens (contrast {ratio:.1f}, "
            f"at least {CONTRAST_LEAST}); {readable(mode, colour)} is near and can."
        )
    return colour
