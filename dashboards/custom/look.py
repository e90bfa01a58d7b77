"""What drawing a panel needs besides its answer: range, axis, colours. Made once per request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from dashboards.custom.answer import Answer
from dashboards.custom.definition import Panel, Threshold
from dashboards.figures.base import TimeAxis
from dashboards.theme import STATUS_CLASS, ColourBook, Mode, status_class
from dashboards.view import FILTERS, View

Colour = Callable[[str | None], str]

OUTCOMES = {
    "ok": STATUS_CLASS["2xx"],
    "redirect": STATUS_CLASS["3xx"],
    "client_error": STATUS_CLASS["4xx"],
    "server_error": STATUS_CLASS["5xx"],
    "aborted": STATUS_CLASS["none"],
}
_PARAMETER_OF = {dimension: name for name, dimension in FILTERS.items()}


@dataclass(frozen=True, slots=True)
class Look:
    """`books`: dimension -> the colours its names have on every screen; '' = all other names."""

    view: View
    axis: TimeAxis
    books: dict[str, ColourBook]
    interactive: bool = True
    """Whether a click on a name narrows the page; not on a public page."""

    @property
    def mode(self) -> Mode:
        return self.axis.mode

    def colour(self, names: tuple[str, ...]) -> Colour:
        """Colours of the names in these columns."""
        dimension = names[0] if len(names) == 1 else ""
        book = self.books.get(dimension, self.books[""])
        if dimension == "status_code":
            return lambda name: STATUS_CLASS[status_class(_code(name))]
        if dimension == "outcome":
            return lambda name: OUTCOMES.get(name or "", book.colour(name))
        return book.colour

    def learn(self, names: tuple[str, ...], values: list[str]) -> None:
        dimension = names[0] if len(names) == 1 else ""
        self.books.get(dimension, self.books[""]).learn(values)


def _code(name: str | None) -> int | None:
    return int(name) if name and name.isdigit() else None


def group_name(row: dict[str, object], names: tuple[str, ...]) -> str:
    """One text for the group of a row; what has no name is '(none)', as the filter says it."""
    return " · ".join("(none)" if row[n] is None else str(row[n]) for n in names)


def filter_of(row: dict[str, object], answer: Answer) -> str:
    """Query string that narrows the page to the group of a row; '' where no filter fits."""
    pairs = [
        (_PARAMETER_OF[name], "(none)" if row[name] is None else str(row[name]))
        for name in answer.names
        if name in _PARAMETER_OF
    ]
    return urlencode(pairs) if len(pairs) == len(answer.names) else ""


def tone_of(value: float | None, thresholds: tuple[Threshold, ...]) -> str:
    """The tone of the last threshold that the value has reached; '' = none, or not measured."""
    if value is None:
        return ""
    reached = [step.tone for step in thresholds if value >= step.at]
    return reached[-1] if reached else ""


def empty_text(panel: Panel, view: View) -> str:
    """Why there is nothing to see, in a sentence."""
    if panel.source.sql:
        return "The statement gave no rows."
    named = [
        f"{FILTERS[name].replace('_', ' ')} {' or '.join(values)}"
        for name, values in view.filters.items()
    ]
    if not named:
        return "No requests in this time range."
    told = ", ".join(named)
    return f"No requests in this time range with {told if len(told) < 120 else 'these filters'}."
