"""What a panel asks: measures of the analytics, or one SELECT. Values only."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator, model_validator

from analytics.errors import QueryRefused
from analytics.filters import DIMENSIONS, UNKNOWN, status_range
from analytics.measures import MEASURES
from dashboards.custom.checks import Strict, checked_text, one_line, one_of
from dashboards.custom.limits import GROUPS_DEFAULT, GROUPS_MAX, MEASURES_MAX, TEXT_CHARS_MAX

LATENCY_SPREAD = "latency_spread"
"""A heat-map's own measure: how many requests took how long, over time."""


class Source(Strict):
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
            one_of(name, (*MEASURES, LATENCY_SPREAD), "measure")
        return tuple(dict.fromkeys(names))

    @field_validator("by")
    @classmethod
    def _known_dimensions(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            one_of(name, DIMENSIONS, "dimension")
        return tuple(dict.fromkeys(names))

    @field_validator("filters")
    @classmethod
    def _known_filters(cls, filters: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, values in filters.items():
            one_of(name, DIMENSIONS, "dimension")
            if len(values) > 50:
                raise ValueError(f"{name} has more than 50 values")
            for value in values:
                one_line(value)
                if not value or len(value) > 300:
                    raise ValueError(f"a value of {name} is empty or longer than 300 characters")
                if name == "status_code" and value != UNKNOWN:
                    _status(value)
        return {name: values for name, values in filters.items() if values}

    @field_validator("sql")
    @classmethod
    def _text(cls, text: str) -> str:
        return checked_text(text.replace("\r\n", "\n")).strip()

    @model_validator(mode="after")
    def _one_kind(self) -> Source:
        if self.sql and (self.measures or self.by or self.filters):
            raise ValueError("a panel asks either measures or SQL, not both")
        return self


def _status(value: str) -> None:
    try:
        status_range(value)
    except QueryRefused as err:
        raise ValueError(str(err)) from err
