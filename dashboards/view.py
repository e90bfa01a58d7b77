"""What a screen shows, read from its URL: time range, filters, look.

`?from=now-1h&to=now&env=production&api=orders&refresh=10s`. The URL is the only state of a screen,
so a link shown to a colleague shows the same. Everything in it is hostile until parsed here: what
cannot be used is left out, and `View.notes` says so in a sentence; nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlencode

from analytics.errors import InvalidTimeRange
from analytics.query import Filters, TimeRange, parse_time
from dashboards.format import local, minute
from dashboards.limits import (
    FILTER_CHARS_MAX,
    POINTS_PER_SERIES_TARGET,
    RANGE_DAYS_MAX,
    URL_SEARCH_CHARS_MAX,
)
from dashboards.theme import Mode

NOW_GRAIN_S: Final = 5
LONG_NOW_GRAIN_S: Final = 60
LONG_RANGE_S: Final = 6.5 * 3600
"""`now` is rounded down to this, so that the panels of a screen, and everybody looking at the same
screen, ask the same question and share one answer. Ranges over LONG_RANGE_S take the longer one:
there, seconds do not show, and whole minutes are answered from rollups and from memory."""

FILTERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "env": "environment",
        "gateway": "gateway",
        "api": "api",
        "version": "api_version",
        "route": "route",
        "method": "method",
        "product": "product",
        "plan": "plan",
        "consumer": "consumer",
        "status": "status_code",
        "outcome": "outcome",
        "country": "country",
        "client": "client_kind",
    }
)
"""Parameter of the URL -> dimension of the analytics."""

RANGES: Final[tuple[tuple[str, str], ...]] = (
    ("now-15m", "Last 15 minutes"),
    ("now-1h", "Last 1 hour"),
    ("now-6h", "Last 6 hours"),
    ("now-24h", "Last 24 hours"),
    ("now-7d", "Last 7 days"),
    ("now-30d", "Last 30 days"),
)
"""What the time picker offers at one click."""

REFRESHES: Final[Mapping[str, int]] = MappingProxyType(
    {"off": 0, "5s": 5, "10s": 10, "30s": 30, "1m": 60}
)
"""Auto-refresh: name in the URL -> seconds; 0 = off."""

_RELATIVE = re.compile(r"now-(\d{1,6})([smhdw])")
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}

_INTERVALS_S = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800)
_SHORT_INTERVALS_S = (5, 10, 15, 30)


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a URL at one moment. `start` <= time < `end`, UTC."""

    start: datetime
    end: datetime
    from_text: str
    to_text: str
    filters: Mapping[str, tuple[str, ...]]
    """Parameter name (see FILTERS) -> values; absent = everything."""
    refresh: str
    mode: Mode
    extra: Mapping[str, str]
    """Parameters of one page alone, e.g. `q` of the logs; unparsed text."""
    notes: tuple[str, ...] = ()

    @property
    def time_range(self) -> TimeRange:
        return TimeRange(self.start, self.end)

    @property
    def analytics_filters(self) -> Filters:
        named: Any = {FILTERS[name]: values for name, values in self.filters.items()}
        return Filters(**named)

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    @property
    def interval_s(self) -> int:
        return interval_s(self.seconds)

    @property
    def label(self) -> str:
        """'Last 1 hour', or both ends."""
        for expression, text in RANGES:
            if (self.from_text, self.to_text) == (expression, "now"):
                return text
        relative = _RELATIVE.fullmatch(self.from_text)
        if relative and self.to_text == "now":
            amount, unit = int(relative[1]), _UNITS[relative[2]]
            return f"Last {amount} {unit}{'' if amount == 1 else 's'}"
        return f"{local(self.start):%d %b %H:%M} – {minute(self.end)}"

    def narrowed(self, **filters: str) -> View:
        """The same view for one value of a dimension: `view.narrowed(api='orders')`."""
        return replace(
            self,
            filters=MappingProxyType({**self.filters, **{k: (v,) for k, v in filters.items()}}),
        )

    def widened(self, by: timedelta) -> View:
        """The same view with more time before and after."""
        return replace(self, start=self.start - by, end=self.end + by)

    @property
    def compared(self) -> bool:
        """Whether charts also draw the equal range just before (`compare=1`)."""
        return self.extra.get("compare") == "1"

    def previous(self) -> View:
        """The equal range just before, with the same filters."""
        return replace(self, start=self.start - (self.end - self.start), end=self.start)

    def query(self, **changes: str | None) -> str:
        """The query string of a link that keeps range, filters and refresh; None removes a key."""
        pairs: dict[str, list[str]] = {
            "from": [self.from_text],
            "to": [self.to_text],
            **{name: list(values) for name, values in self.filters.items()},
        }
        if self.refresh:
            pairs["refresh"] = [self.refresh]
        if self.compared:
            pairs["compare"] = ["1"]
        for name, value in changes.items():
            pairs.pop(name, None)
            if value is not None:
                pairs[name.rstrip("_")] = [value]
        return "?" + urlencode(pairs, doseq=True, quote_via=quote)

    def kept(self, names: Iterable[str], **changes: str | None) -> str:
        """`query` that keeps parameters of the page as well, such as what is searched."""
        return self.query(**{**{name: self.extra.get(name) for name in names}, **changes})


def interval_s(seconds: float) -> int:
    """The smallest nice interval that draws a range in at most POINTS_PER_SERIES_TARGET points.

    Up to 20 minutes it is under a minute (computed from single requests, not from roll-ups).
    """
    choices = (*_SHORT_INTERVALS_S, *_INTERVALS_S) if seconds <= 1200 else _INTERVALS_S
    for choice in choices:
        if seconds / choice <= POINTS_PER_SERIES_TARGET:
            return choice
    return _INTERVALS_S[-1]


def parse_view(
    search: str | None,
    *,
    now: datetime,
    mode: object = "dark",
    default_from: str = "now-1h",
    default_refresh: str = "10s",
) -> View:
    """Read a URL's query string. Never raises: unusable parts fall back and leave a note."""
    notes: list[str] = []
    text = search if isinstance(search, str) else ""
    if len(text) > URL_SEARCH_CHARS_MAX:
        notes.append("The link is too long to read; showing the default range without filters.")
        text = ""
    try:
        parameters = parse_qs(text.lstrip("?"), max_num_fields=100)
    except ValueError:
        notes.append("The link has too many parts; showing the default range without filters.")
        parameters = {}
    from_text, to_text, start, end = _range(
        parameters, _floored(now, NOW_GRAIN_S), default_from, []
    )
    long = (end - start).total_seconds() > LONG_RANGE_S
    grain_s = LONG_NOW_GRAIN_S if long else NOW_GRAIN_S
    from_text, to_text, start, end = _range(parameters, _floored(now, grain_s), default_from, notes)
    refresh = parameters.get("refresh", [default_refresh])[-1]
    return View(
        start=start,
        end=end,
        from_text=from_text,
        to_text=to_text,
        filters=_filters(parameters, notes),
        refresh=refresh if refresh in REFRESHES else default_refresh,
        mode="light" if mode == "light" else "dark",
        extra=MappingProxyType(
            {
                name: values[-1][:FILTER_CHARS_MAX]
                for name, values in parameters.items()
                if name not in FILTERS and name not in ("from", "to", "refresh", "theme")
            }
        ),
        notes=tuple(notes),
    )


def _floored(now: datetime, grain_s: int) -> datetime:
    return datetime.fromtimestamp(now.timestamp() // grain_s * grain_s, tz=UTC)


def _range(
    parameters: Mapping[str, list[str]], now: datetime, default_from: str, notes: list[str]
) -> tuple[str, str, datetime, datetime]:
    from_text = parameters.get("from", [default_from])[-1]
    to_text = parameters.get("to", ["now"])[-1]
    try:
        start, end = parse_time(from_text, now=now), parse_time(to_text, now=now)
        if end <= start:
            raise InvalidTimeRange("it ends before it starts")
    except (InvalidTimeRange, OverflowError) as err:
        notes.append(f"The time range of the link cannot be used ({err}); showing the default.")
        from_text, to_text = default_from, "now"
        start, end = parse_time(from_text, now=now), now
    longest = timedelta(days=RANGE_DAYS_MAX)
    if end - start > longest:
        start = end - longest
        notes.append(f"The time range was cut to its last {RANGE_DAYS_MAX} days.")
    return from_text, to_text, start, end


def _filters(
    parameters: Mapping[str, list[str]], notes: list[str]
) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name in FILTERS:
        values = tuple(v for v in parameters.get(name, []) if v)
        if any(len(v) > FILTER_CHARS_MAX or "\x00" in v for v in values):
            notes.append(f"The filter '{name}' of the link cannot be used and is left out.")
        elif values:
            found[name] = values
    return MappingProxyType(found)


def api_path(name: str) -> str:
    """Address of an API's own page, without query string."""
    return f"/apis/{quote(name, safe='')}"
