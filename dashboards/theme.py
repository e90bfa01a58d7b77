"""All design tokens, for dark and light: the only place where a colour, size or font is written.

Turned into CSS variables (`css()`), Plotly templates (`template(mode)`) and colours for data
(`ColourBook`, `SEVERITY`, `STATUS_CLASS`). Data colours are readable on both grounds, keep
apart for people with any kind of colour blindness, and leave red to what is wrong.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from threading import Lock
from types import MappingProxyType
from typing import Any, Literal

Mode = Literal["dark", "light"]

FONT = (
    'Inter, -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, '
    '"Liberation Sans", system-ui, sans-serif'
)
MONO = (
    'ui-monospace, "SF Mono", "JetBrains Mono", "Cascadia Code", Menlo, Consolas, '
    '"Liberation Mono", monospace'
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Colours of one mode, by role."""

    bg: str
    surface: str
    raised: str
    hover: str
    border: str
    border_strong: str
    text: str
    muted: str
    faint: str
    accent: str
    accent_soft: str
    grid: str
    shadow: str
    good: str
    warn: str
    bad: str
    bad_soft: str
    warn_soft: str
    good_soft: str


DARK = Tokens(
    bg="#0d1015",
    surface="#14181f",
    raised="#1a1f28",
    hover="#1f2530",
    border="#232a35",
    border_strong="#343d4c",
    text="#e7eaf0",
    muted="#9aa5b5",
    faint="#808c9e",
    accent="#6ba4ff",
    accent_soft="rgba(107,164,255,0.14)",
    grid="rgba(148,163,184,0.11)",
    shadow="0 8px 28px rgba(0,0,0,0.45)",
    good="#45c08b",
    warn="#f0b23e",
    bad="#f26d6d",
    bad_soft="rgba(242,109,109,0.14)",
    warn_soft="rgba(240,178,62,0.14)",
    good_soft="rgba(69,192,139,0.14)",
)

LIGHT = Tokens(
    bg="#f5f6f8",
    surface="#ffffff",
    raised="#ffffff",
    hover="#f0f2f6",
    border="#e3e7ed",
    border_strong="#c9d0da",
    text="#151b26",
    muted="#556074",
    faint="#626c80",
    accent="#2463d6",
    accent_soft="rgba(36,99,214,0.09)",
    grid="rgba(30,41,59,0.08)",
    shadow="0 8px 28px rgba(16,24,40,0.14)",
    good="#137538",
    warn="#925600",
    bad="#c42b2b",
    bad_soft="rgba(196,43,43,0.09)",
    warn_soft="rgba(146,86,0,0.10)",
    good_soft="rgba(19,117,56,0.09)",
)

MODES: dict[Mode, Tokens] = {"dark": DARK, "light": LIGHT}

BUTTON_TEXT: dict[Mode, str] = {"dark": "#0d1015", "light": "#ffffff"}
"""Text on the accent colour. Twin: .gl-button.primary in assets/gatelens.css."""

SIZES = {
    "nav-width": "208px",
    "header-height": "52px",
    "radius": "8px",
    "gap": "12px",
    "font": FONT,
    "mono": MONO,
}

SERIES = (
    "#4a90f5", "#d57b21", "#60a884", "#9f45a8", "#21ccc3", "#c3ba33",
    "#f08d9f", "#4e69d5", "#96c372", "#ba6084", "#baa8f0", "#187b69",
    "#ba4e18", "#577b45", "#ba7bc3", "#9f9660",
)  # fmt: skip
"""Colours of APIs, consumers and other names. Sixteen, so that a dozen APIs need not share. They
were searched for: any two of them and `OTHERS` are at least 7.5 apart (CIEDE2000) to people with
each kind of colour blindness, 14 to others."""

OTHERS = "#7d8798"
"""Everything that is summed up as 'others', and what has no name."""

SEVERITY: dict[str, str] = {
    "critical": "bad",
    "error": "bad",
    "high": "bad",
    "warning": "warn",
    "medium": "warn",
    "info": "accent",
    "low": "accent",
}
"""Severity -> token that colours it."""

STATUS_CLASS: dict[str, str] = {
    "2xx": "#3d9f7c",
    "3xx": "#6f8fb3",
    "4xx": "#e3a63c",
    "5xx": "#e2605f",
    "none": "#5d5480",
}
"""Bars by class of status; 'none' = the client left before an answer."""

ERROR_LINE = STATUS_CLASS["5xx"]
"""Error rates wherever they are one line."""

PARTS: dict[str, str] = {"total": "#4a90f5", "upstream": "#694eb1", "gateway": "#187269"}
"""Where the time went, everywhere the split is drawn."""

QUANTILES: dict[str, str] = {"p50_ms": "#187269", "p95_ms": "#4a90f5", "p99_ms": "#694eb1"}
"""p50, p95 and p99 wherever they share a chart."""

LIMIT: dict[str, str] = {"rate limit": STATUS_CLASS["4xx"], "quota": STATUS_CLASS["5xx"]}
"""What refused a call, wherever calls over a limit are drawn."""


class ColourBook:
    """Gives every name one colour for as long as the process lives.

    The colour comes from a stable hash of the name, so that a restart, another page and another
    person's screen show the same. Where two would share one, the name that is learned or asked for
    later takes the next free colour; once all are taken, names share.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._lock = Lock()
        self._taken: dict[str, int] = {}
        self.learn(names)

    def learn(self, names: Iterable[str | None]) -> None:
        """Reserve colours; in order of name, so that the same names get the same on any start."""
        with self._lock:
            for name in sorted({n for n in names if n} - self._taken.keys()):
                used = set(self._taken.values())
                if len(used) == len(SERIES):
                    return
                start = _preferred(name)
                slots = ((start + step) % len(SERIES) for step in range(len(SERIES)))
                self._taken[name] = next(slot for slot in slots if slot not in used)

    def colour(self, name: str | None) -> str:
        """Colour of a name; grey for no name."""
        if not name:
            return OTHERS
        if name not in self._taken and len(self._taken) < len(SERIES):
            self.learn([name])  # before it is shown: no other panel may show it in another
        return SERIES[self._taken.get(name, _preferred(name))]


def _preferred(name: str) -> int:
    return zlib.crc32(name.encode()) % len(SERIES)


def rgba(colour: str, alpha: float) -> str:
    """'#rrggbb' with an opacity from 0 to 1."""
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha:g})"


def tokens(mode: Mode) -> Tokens:
    return MODES[mode]


def status_class(status_code: int | None) -> str:
    """204 -> '2xx'; 0 and None (no answer) -> 'none'; what is outside 100-599 -> 'none'."""
    if not status_code or not 100 <= status_code <= 599:
        return "none"
    return f"{max(2, status_code // 100)}xx"


def heat_scale(mode: Mode) -> list[list[float | str]]:
    """Colours of a heat-map from nothing to most: sequential, even in lightness."""
    if mode == "dark":
        stops = ("#14181f", "#173355", "#1d5a8f", "#2f8fb3", "#6cc5a8", "#f2e38c")
    else:
        stops = ("#ffffff", "#dbe9f6", "#a6cbe8", "#5a9fd0", "#2768ac", "#122f66")
    at = (0.0, 0.04, 0.2, 0.45, 0.75, 1.0)
    return [[p, c] for p, c in zip(at, stops, strict=True)]


@functools.cache
def template(mode: Mode) -> dict[str, Any]:
    """The look of every chart: transparent ground, hairline grid, small type, one hover box."""
    t = tokens(mode)
    axis = {
        "gridcolor": t.grid,
        "gridwidth": 1,
        "linecolor": t.border,
        "zeroline": False,
        "ticks": "",
        "tickfont": {"size": 11, "color": t.faint},
        "title": {"font": {"size": 11, "color": t.muted}},
        "automargin": True,
    }
    return {
        "layout": {
            "font": {"family": FONT, "size": 12, "color": t.muted},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(SERIES),
            "margin": {"l": 8, "r": 10, "t": 8, "b": 8},
            "hovermode": "x unified",
            "hoverlabel": {
                "bgcolor": t.raised,
                "bordercolor": t.border_strong,
                "font": {"family": FONT, "size": 12, "color": t.text},
                "namelength": 36,
            },
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 0,
                "yref": "container",
                "yanchor": "bottom",
                "font": {"size": 11, "color": t.muted},
                "itemwidth": 30,
                "tracegroupgap": 0,
                "bgcolor": "rgba(0,0,0,0)",
            },
            # Ticks nobody sees: a label under the left end keeps off the lowest one beside it.
            "xaxis": {
                **axis,
                "showgrid": False,
                "showspikes": False,
                "ticks": "outside",
                "ticklen": 6,
                "tickcolor": "rgba(0,0,0,0)",
            },
            "yaxis": {**axis, "rangemode": "tozero", "nticks": 5},
            "dragmode": "zoom",
            "selectdirection": "h",
            "bargap": 0.18,
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": t.faint, "activecolor": t.text},
        }
    }


def css(accents: Mapping[Mode, str] = MappingProxyType({})) -> str:
    """The tokens as CSS variables; `data-scheme` on <html> picks the mode. accents: an
    installation's own accent colours, '#rrggbb'."""
    shared = "".join(f"--gl-{name}:{value};" for name, value in SIZES.items())
    blocks = [f":root{{{shared}}}"]
    for mode, values in MODES.items():
        if mode in accents:
            soft = rgba(accents[mode], 0.14 if mode == "dark" else 0.09)
            values = replace(values, accent=accents[mode], accent_soft=soft)
        body = "".join(
            f"--gl-{f.name.replace('_', '-')}:{getattr(values, f.name)};" for f in fields(values)
        )
        blocks.append(f':root[data-scheme="{mode}"]{{color-scheme:{mode};{body}}}')
    return "\n".join(blocks)
