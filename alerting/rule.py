"""What a rule is, once read: values only. Written as in `rules.py`, judged by `checks.py`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from alerting.limits import LOOK_EVERY_S_MAX, QUOTA_LOOK_EVERY_S, SQL_LOOK_EVERY_S
from alerting.pipeline import SIGNALS, Signal
from alerting.state_machine import NoData, Timing
from analytics.query import MEASURES, Filters

Operator = Literal[">", ">=", "<", "<=", "==", "!="]

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {
        ">": operator.gt, ">=": operator.ge, "<": operator.lt,
        "<=": operator.le, "==": operator.eq, "!=": operator.ne,
    }
)  # fmt: skip
_CONDITION = re.compile(r"(>=|<=|==|!=|>|<)\s*(-?\d+(?:\.\d+)?(?:e-?\d+)?)\s*(%|ms|s|/s)?")

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison. `threshold` is in the measure's unit (a ratio as 0..1, times in ms)."""

    operator: Operator
    threshold: float

    def breached_by(self, value: float) -> bool:
        return _OPERATORS[self.operator](value, self.threshold)


def parse_condition(text: str) -> Condition | None:
    """Read '> 5%', '>= 800ms', '< 0.5', '> 2s'. None when it is no condition."""
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        return None
    sign, number, unit = match.groups()
    scale = {"%": 0.01, "s": 1000.0}.get(unit, 1.0)
    return Condition(sign, float(number) * scale)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Threshold:
    """`measure` over the last `window_s` compared with a number."""

    measure: str
    window_s: float
    condition: Condition
    min_requests: int = 0
    """With fewer requests in the window the value counts as fine: too little to judge."""


@dataclass(frozen=True, slots=True)
class Change:
    """Relative change of `measure` against the same window `offset_s` earlier: 0.5 = half more."""

    measure: str
    window_s: float
    offset_s: float
    condition: Condition
    min_requests: int = 0
    """Needed in the earlier window; with fewer there is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Absence:
    """No request in the last `window_s` from a series that had some in `seen_within_s`."""

    window_s: float
    seen_within_s: float
    min_requests: int = 1
    """Requests in `seen_within_s` that make a series one to be missed."""


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """Both the long and the short window must burn faster than `factor`."""

    long_s: float
    short_s: float
    factor: float


@dataclass(frozen=True, slots=True)
class BurnRate:
    """How fast an error budget is used. Burn 1 = exactly used up at the end of the period.

    Multi-window, multi-burn-rate: Google SRE Workbook, chapter 5, section 6.
    """

    measure: str
    """A ratio of bad requests."""
    objective: float
    """Share of good requests, 0..1."""
    period_s: float
    windows: tuple[BurnWindow, ...]
    min_requests: int = 0
    threshold_ms: float | None = None
    """A latency objective: bad are the requests slower than this; `measure` is not asked then."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A consumer against its plan's quota in the running period, counted as on screen."""

    period: Literal["month", "week", "day"]
    condition: Condition | None
    """On the share used; None = `runs_out_before_end_s` is judged instead."""
    runs_out_before_end_s: float | None = None
    """Breached when the forecast runs out at least this long before the period's end: not its
    middle but the late end of its 80 % interval, so that a noisy start of a month pages nobody."""


@dataclass(frozen=True, slots=True)
class Sql:
    """A query of one's own over any table: columns of the rule's `group_by`, and `value`."""

    query: str
    """Has the parameters $start and $end, the window's ends."""
    window_s: float
    condition: Condition


@dataclass(frozen=True, slots=True)
class Match:
    """A number about rows of one table that match: logs, spans, or the results of a probe.

    Made by `match_sql.py`: the query is ours, what the rule says is bound.
    """

    kind: Literal["log_match", "trace_match", "probe"]
    query: str
    """Has $start, $end and `params`; gives the columns of the rule's `group_by`, and `value`."""
    params: Mapping[str, str | float]
    window_s: float
    condition: Condition
    unit: str
    page: str = ""
    """Path and query of the screen that shows such rows; '' = there is none."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How Gatelens itself is doing. Judged by the wall clock: it matters most without data."""

    signal: Signal
    window_s: float
    condition: Condition


@dataclass(frozen=True, slots=True)
class Health:
    """Whether rules can be evaluated. Judged by the engine itself; not written in files."""


Check = Threshold | Change | Absence | BurnRate | Quota | Sql | Match | Pipeline | Health
KINDS: Mapping[str, type] = MappingProxyType(
    {
        "threshold": Threshold,
        "change": Change,
        "absence": Absence,
        "burn_rate": BurnRate,
        "quota": Quota,
        "sql": Sql,
        "log_match": Match,
        "trace_match": Match,
        "probe": Match,
        "pipeline": Pipeline,
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; every series it finds is an alert of its own."""

    name: str
    check: Check
    filters: Filters = Filters()
    group_by: tuple[str, ...] = ()
    timing: Timing = Timing()
    severity: Severity = "warning"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    runbook_url: str = ""
    file: str = ""
    line: int = 0

    @property
    def kind(self) -> str:
        if isinstance(self.check, Match):
            return self.check.kind
        kinds = (name for name, type_ in KINDS.items() if isinstance(self.check, type_))
        return next(kinds, "health")

    @property
    def window_s(self) -> float:
        """Longest span of data one look needs, in seconds."""
        match self.check:
            case (
                Threshold(window_s=window)
                | Sql(window_s=window)
                | Match(window_s=window)
                | Pipeline(window_s=window)
            ):
                return window
            case Change(window_s=window, offset_s=offset):
                return window + offset
            case Absence(seen_within_s=seen):
                return seen
            case BurnRate(windows=windows):
                return max(w.long_s for w in windows)
            case Health():
                return 0.0
            case Quota(period=period):
                return {"month": 31, "week": 7, "day": 1}[period] * 86_400.0

    @property
    def look_every_s(self) -> float:
        """How often it is worth looking; the engine's own interval is the lower bound."""
        if isinstance(self.check, Quota):
            return QUOTA_LOOK_EVERY_S
        queries = isinstance(self.check, Sql | Match | Pipeline)
        least = SQL_LOOK_EVERY_S if queries else 0.0
        return max(least, min(LOOK_EVERY_S_MAX, self.window_s / 100))

    @property
    def needs_requests(self) -> bool:
        """Whether it judges requests, and so cannot judge while none arrive."""
        return not isinstance(self.check, Absence | Sql | Match | Pipeline)

    @property
    def unit(self) -> str:
        """UCUM unit of the value that is compared; '1' = a ratio."""
        match self.check:
            case Threshold(measure=measure):
                return MEASURES[measure].unit
            case Absence():
                return "requests"
            case Quota(condition=None):
                return "s"
            case BurnRate():
                return "x"
            case Sql():
                return ""
            case Match(unit=unit):
                return unit
            case Pipeline(signal=signal):
                return SIGNALS[signal][1]
            case _:
                return "1"


def say_span(span: timedelta) -> str:
    """'2 h 10 min', '3 d', '40 s'."""
    seconds = int(span.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min"
    if seconds < 86_400:
        return _two(seconds // 3_600, "h", seconds % 3_600 // 60, "min")
    return _two(seconds // 86_400, "d", seconds % 86_400 // 3_600, "h")


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large} {unit} {small} {smaller}" if small else f"{large} {unit}"


def say_value(value: float | None, unit: str) -> str:
    """A value as people say it: 0.0731 of unit '1' is '7.3 %'. None is 'no data'."""
    if value is None:
        return "no data"
    if unit == "1":
        percent = value * 100
        return f"{percent:.1f} %" if abs(percent) < 1000 else f"{percent:,.0f} %"
    if unit == "ms":
        return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms"
    if unit == "s":
        return say_span(timedelta(seconds=value)) if value >= 0 else f"{value:.0f} s"
    if unit == "x":
        return f"{value:.1f}x"
    number = f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}".strip()


RULE_FAILING = Rule(
    name="gatelens-rule-failing",
    check=Health(),
    group_by=("rule",),
    timing=Timing(for_s=60.0, no_data="ok"),
    severity="warning",
    annotations={
        "summary": "The alert rule {rule} cannot be evaluated: nobody watches what it watches",
        "description": "{evidence}",
    },
    file="built-in",
)
"""Always there: a rule that fails must not fail silently."""

NO_DATA_POLICIES: tuple[NoData, ...] = ("keep", "alert", "ok")
