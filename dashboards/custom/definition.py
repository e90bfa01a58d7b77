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
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from alerting.yaml_section import near_miss
from analytics.errors import InvalidTimeRange, QueryRefused
from analytics.filters import DIMENSIONS, UNKNOWN, status_range
from analytics.measures import MEASURES
from analytics.timerange import parse_time
from dashboards.custom.limits import (
    COLUMNS,
    GROUPS_DEFAULT,
    GROUPS_MAX,
    MEASURES_MAX,
    NAME_CHARS_MAX,
    PANELS_MAX,
    ROWS_MAX,
    TEXT_CHARS_MAX,
)
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

LATENCY_SPREAD = "latency_spread"
"""A heat-map's own measure: how many requests took how long, over time."""

VARIABLES: tuple[str, ...] = tuple(FILTERS)
"""Names a variable may have: the filter words of every screen's address."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff\x85\u2028\u2029]")
_ID = r"^[a-z0-9][a-z0-9-]{0,39}$"


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("control characters are not taken")
    return text


def _one_line(text: str) -> str:
    text = _plain(text).strip()
    if "\n" in text or "\t" in text:
        raise ValueError("it must be one line")
    return text


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


Name = Annotated[str, StringConstraints(max_length=NAME_CHARS_MAX)]
Id = Annotated[str, StringConstraints(pattern=_ID)]


class Place(_Strict):
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


class Threshold(_Strict):
    """From `at` on, the value is `tone`. In the panel's own unit: percent as a share, ms as ms."""

    at: Annotated[float, Field(allow_inf_nan=False)]
    tone: Tone


class Link(_Strict):
    """A link of a panel: a screen of ours ('/apis', range and filters are kept) or https."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX)]
    url: Annotated[str, StringConstraints(max_length=500)]

    @field_validator("title")
    @classmethod
    def _title(cls, text: str) -> str:
        return _one_line(text)

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        return safe_url(url)


def safe_url(url: str) -> str:
    """An address that can only be followed: https, http, or a path of ours. Raises ValueError."""
    inside = url.startswith("/") and not url.startswith(("//", "/\\"))
    if not (inside or url.startswith(("https://", "http://"))) or re.search(
        r"[\s\x00-\x1f\\]", url
    ):
        raise ValueError("a link starts with https:// or / and has no spaces")
    return url


class Source(_Strict):
    """What a panel asks: measures of the analytics, or one SELECT. Empty for a text."""

    measures: Annotated[tuple[str, ...], Field(max_length=MEASURES_MAX)] = ()
    by: Annotated[tuple[str, ...], Field(max_length=2)] = ()
    """Dimensions to group by."""
    filters: dict[str, tuple[str, ...]] = {}
    """Dimension -> values; these win over the dashboard's variables."""
    limit: Annotated[int, Field(ge=1, le=GROUPS_MAX)] = GROUPS_DEFAULT
    """Groups shown, the largest; a chart over time sums the others up."""
    sql: Annotated[str, StringConstraints(max_length=TEXT_CHARS_MAX)] = ""
    """Parameters: $start, $end, $interval_s, and each variable as a list of texts, e.g. $api;
    NULL = not chosen."""

    @field_validator("measures")
    @classmethod
    def _known_measures(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            _one_of(name, (*MEASURES, LATENCY_SPREAD), "measure")
        return tuple(dict.fromkeys(names))

    @field_validator("by")
    @classmethod
    def _known_dimensions(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            _one_of(name, DIMENSIONS, "dimension")
        return tuple(dict.fromkeys(names))

    @field_validator("filters")
    @classmethod
    def _known_filters(cls, filters: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, values in filters.items():
            _one_of(name, DIMENSIONS, "dimension")
            if len(values) > 50:
                raise ValueError(f"{name} has more than 50 values")
            for value in values:
                _one_line(value)
                if not value or len(value) > 300:
                    raise ValueError(f"a value of {name} is empty or longer than 300 characters")
                if name == "status_code" and value != UNKNOWN:
                    _status(value)
        return {name: values for name, values in filters.items() if values}

    @field_validator("sql")
    @classmethod
    def _text(cls, text: str) -> str:
        return _plain(text.replace("\r\n", "\n")).strip()

    @model_validator(mode="after")
    def _one_kind(self) -> Source:
        if self.sql and (self.measures or self.by or self.filters):
            raise ValueError("a panel asks either measures or SQL, not both")
        return self


class Panel(_Strict):
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
        return _one_line(text)

    @field_validator("text", "description")
    @classmethod
    def _lines(cls, text: str) -> str:
        return _plain(text.replace("\r\n", "\n")).strip()

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


class Variable(_Strict):
    """A choice at the top of the dashboard. Each narrows what the ones after it offer."""

    name: str
    label: Name = ""
    default: Annotated[tuple[str, ...], Field(max_length=20)] = ()

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return _one_of(name, VARIABLES, "variable")

    @field_validator("label")
    @classmethod
    def _label(cls, text: str) -> str:
        return _one_line(text)

    @field_validator("default")
    @classmethod
    def _values(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not _one_line(value) or len(value) > 300:
                raise ValueError("a default is empty or longer than 300 characters")
        return values


class Dashboard(_Strict):
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
        return _one_line(text)

    @field_validator("description")
    @classmethod
    def _lines(cls, text: str) -> str:
        return _plain(text.replace("\r\n", "\n")).strip()

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
        _no_twins("panel id", [p.id for p in self.panels])
        _no_twins("variable", [v.name for v in self.variables])
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


def first_problem(err: ValidationError) -> str:
    """The first mistake as a sentence that says where: 'panels, 2, unit: ...'."""
    found = err.errors(include_url=False, include_input=False)[0]
    where = ", ".join(str(part + 1 if isinstance(part, int) else part) for part in found["loc"])
    said = found["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said


def _no_twins(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the {what} {name!r} is there twice")


def _one_of(name: str, known: tuple[str, ...], what: str) -> str:
    if name not in known:
        raise ValueError(f"there is no {what} {name[:60]!r}. {near_miss(name[:60], known)}".strip())
    return name


def _status(value: str) -> None:
    try:
        status_range(value)
    except QueryRefused as err:
        raise ValueError(str(err)) from err
