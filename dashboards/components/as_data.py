"""What a callback answers as plain data, before the framework writes its JSON.

The framework tries its quick encoder first, and walks through the whole answer value by value when
that meets anything but data: one component or chart beside the rows of a table made 487 kB take
64 ms, on the event loop; as plain data they take two.
"""

from __future__ import annotations

from typing import Any

from dash import Patch
from dash._no_update import NoUpdate
from dash.development.base_component import Component as DashComponent

from dashboards.figures.base import Figure

_DATA = frozenset({str, float, int, bool, type(None)})


def as_data(answer: Any) -> Any:
    """One output's value with components and figures, however deep, as the dicts they are sent as.
    What means something to the framework itself (no update, a patch) comes back as it is."""
    return answer if isinstance(answer, (NoUpdate, Patch)) else _data(answer)


def _data(value: Any) -> Any:
    if isinstance(value, (DashComponent, Figure)):
        sent: Any = value.to_plotly_json  # not typed by the library
        value = sent()
    if isinstance(value, dict):
        return {k: v if type(v) in _DATA else _data(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [v if type(v) in _DATA else _data(v) for v in value]
    return value
