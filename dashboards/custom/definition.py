"""What a custom dashboard is: panels on a grid, variables, a default range. Values only.

The same shape is kept in the state store (JSON), exported as YAML and sent by the editor. Checked
here, once; everything in it is hostile until then. Unknown fields are refused.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from analytics.errors import InvalidTimeRange
from analytics.timerange import parse_time
from dashboards.custom.checks import Strict, checked_text, no_twins, one_line, one_of, safe_url
from dashboards.custom.limits import (
    COLUMNS,
    NAME_CHARS_MAX,
    PANELS_MAX,
    ROWS_MAX,
    TEXT_CHARS_MAX,
)
from dashboards.custom.source import LATENCY_SPREAD, Source
from dashboards.view import FILTERS

Kind = Literal[
    "time_series", "bar", "table", "number", "heatmap", "treemap", "map", "text"
]  # fmt: skip
Unit = Literal[
    "auto", "count", "rate", "ms", "s", "percent", "bytes", "bytes_per_s", "money", "none"
]
Style = Literal["lines", "areas", "bars"]
Tone = Literal["good", "warn", "bad"]

KINDS: tuple[str, ...] = get_args(Kind)
UNITS: tuple[str, ...] = get_args(Unit)

VARIABLES: tuple[str, ...] = tuple(FILTERS)
"""Names a variable may have: the filter words of every screen's address."""

_ID = r"^[a-z0-9][a-z0-9-]{0,39}$"


Name = Annotated[str, StringConstraints(max_length=NAME_CHARS_MAX)]
Id = Annotated[str, StringConstraints(pattern=_ID)]


class Place(Strict):
    """Where a panel is, in columns and rows from the top left corner."""

    x: Annotated[int, Field(ge=0, lt=COLUMNS)] = 0
    y: Annotated[int, Field(ge=0, le=PANELS_MAX * ROWS_MAX)] = 0
    w: Annotated[int, Field(ge=1, le=COLUMNS)] = 6
    h: Annotated[int, Field(ge=1, le=ROWS_MAX)] = 6

    @model_validator(mode="after")
    def _fits(self) -> Place:
        if self.x + self.w > COLUMNS:
            raise ValueError(f"x + w must not be more than {COLUMNS} columns")
        return self


class Threshold(Strict):
    """From `at` on, the value is `tone`. In the panel's own unit: percent as a share, ms as ms."""

    at: Annotated[float, Field(allow_inf_nan=False)]
    tone: Tone


class Link(Strict):
    """A link of a panel: a screen of ours ('/apis', range and filters are kept) or https."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX)]
    url: Annotated[str, StringConstraints(max_length=500)]

    @field_validator("title")
    @classmethod
    def _title(cls, text: str) -> str:
        return one_line(text)

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        return safe_url(url)


class Panel(Strict):
    """One panel. `id` is stable over versions: links and differences name it."""

    id: Id
    kind: Kind
    title: Name = ""
    description: Annotated[str, StringConstraints(max_length=1_000)] = ""
    at: Place = Place()
    source: Source = Source()
    unit: Unit = "auto"
    thresholds: Annotated[tuple[Threshold, ...], Field(max_length=5)] = ()
    style: Style = "lines"
    text: Annotated[str, StringConstraints(max_length=TEXT_CHARS_MAX)] = ""
    """Markdown of a text panel."""
    links: Annotated[tuple[Link, ...], Field(max_length=5)] = ()

    @field_validator("title")
    @classmethod
    def _title(cls, text: str) -> str:
        return one_line(text)

    @field_validator("text", "description")
    @classmethod
    def _lines(cls, text: str) -> str:
        return checked_text(text.replace("\r\n", "\n")).strip()

    @field_validator("thresholds")
    @classmethod
    def _ascending(cls, steps: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
        return tuple(sorted(steps, key=lambda s: s.at))

    @model_validator(mode="after")
    def _complete(self) -> Panel:
        source = self.source
        if self.kind == "text":
            if source != Source():
                raise ValueError("a text panel asks nothing: it has a text and no source")
            return self
        if self.text:
            raise ValueError("only a text panel has a text")
        if not source.sql and not source.measures:
            raise ValueError("the panel needs a measure or SQL to show")
        if source.sql:
            return self
        if LATENCY_SPREAD in source.measures and (self.kind != "heatmap" or source.by):
            raise ValueError(f"{LATENCY_SPREAD} is shown by a heatmap without grouping")
        if self.kind in ("bar", "treemap") and not source.by:
            raise ValueError(f"a {self.kind} needs a dimension to group by")
        if self.kind == "map" and source.by != ("country",):
            raise ValueError("a map is grouped by country and nothing else")
        if self.kind in ("treemap", "map", "heatmap") and len(source.measures) > 1:
            raise ValueError(f"a {self.kind} shows one measure")
        if self.kind == "heatmap" and not source.by and source.measures != (LATENCY_SPREAD,):
            raise ValueError("a heatmap needs a dimension to group by, or latency_spread")
        return self


class Variable(Strict):
    """A choice at the top of the dashboard. Each narrows what the ones after it offer."""

    name: str
    label: Name = ""
    default: Annotated[tuple[str, ...], Field(max_length=20)] = ()

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return one_of(name, VARIABLES, "variable")

    @field_validator("label")
    @classmethod
    def _label(cls, text: str) -> str:
        return one_line(text)

    @field_validator("default")
    @classmethod
    def _values(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not one_line(value) or len(value) > 300:
                raise ValueError("a default is empty or longer than 300 characters")
        return values


class Dashboard(Strict):
    """A whole dashboard. Without panels it is empty, which is fine."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX)]
    description: Annotated[str, StringConstraints(max_length=1_000)] = ""
    folder: Name = ""
    """'' = at the top. A slash makes a folder in a folder."""
    range: Annotated[str, StringConstraints(max_length=40)] = ""
    """Start of the time range when the address says none, e.g. now-6h; '' = as everywhere."""
    variables: Annotated[tuple[Variable, ...], Field(max_length=len(VARIABLES))] = ()
    panels: Annotated[tuple[Panel, ...], Field(max_length=PANELS_MAX)] = ()

    @field_validator("title", "folder")
    @classmethod
    def _line(cls, text: str) -> str:
        return one_line(text)

    @field_validator("description")
    @classmethod
    def _lines(cls, text: str) -> str:
        return checked_text(text.replace("\r\n", "\n")).strip()

    @field_validator("range")
    @classmethod
    def _relative(cls, text: str) -> str:
        if text and not re.fullmatch(r"now-[1-9]\d{0,5}[smhdw]", text):
            raise ValueError("a range is written now-15m, now-6h or now-7d")
        try:
            # Far too long a way back does not fit a date.
            return (
                text if not text or parse_time(text, now=datetime(2026, 1, 1, tzinfo=UTC)) else ""
            )
        except (InvalidTimeRange, OverflowError) as err:
            raise ValueError("the range goes too far back") from err

    @model_validator(mode="after")
    def _unique(self) -> Dashboard:
        no_twins("panel id", [p.id for p in self.panels])
        no_twins("variable", [v.name for v in self.variables])
        if not self.title:
            raise ValueError("the title is empty")
        return self

    def panel(self, panel_id: str) -> Panel | None:
        return next((p for p in self.panels if p.id == panel_id), None)

    def plain(self) -> dict[str, Any]:
        """As JSON and YAML know it, without what has its default: short, and stable to compare."""
        return _without_defaults(self)


def short(panel: Panel) -> dict[str, Any]:
    """A panel as JSON, without what has its default."""
    return _without_defaults(panel)


def _without_defaults(model: BaseModel) -> dict[str, Any]:
    plain: dict[str, Any] = model.model_dump(mode="json", exclude_defaults=True)
    return plain
