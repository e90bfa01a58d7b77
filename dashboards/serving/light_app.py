"""The Dash app as the frame and the pages see it: what their callbacks answer is made light for the
browser (components/plain.py) and quick to encode (components/as_data.py) without any page having to
think of it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from dash.dependencies import DashDependency, Input, State

from dashboards import ids
from dashboards.components import Component, lightened
from dashboards.components.as_data import as_data
from dashboards.serving.warm import FRAME, Panel


class LightApp:
    """Only what pages need of an app is passed on."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._shown_while_running: set[str] = set()
        self.panels: list[Panel] = []
        """Callbacks that the page's view alone makes draw anew."""
        self.screen = FRAME
        """Whose callbacks are registered now; see Panel."""
        self.clientside_callback = app.clientside_callback

    def callback(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        register = self._app.callback(*args, **kwargs)
        self._shown_while_running.update(
            output.component_id for output, *_ in kwargs.get("running", ())
        )

        given = list(_flat(args))
        asked = [one for one in given if isinstance(one, Input)]
        states = tuple(str(one.component_id) for one in given if isinstance(one, State))

        def wrap(function: Callable[..., Awaitable[Any]]) -> Any:
            if [one.component_id for one in asked] == [ids.VIEW]:
                self.panels.append(Panel(states, function, self.screen))

            @functools.wraps(function)
            async def light(*values: Any, **named: Any) -> Any:
                answer = await function(*values, **named)
                if isinstance(answer, tuple):
                    return tuple(as_data(self.lightened(one)) for one in answer)
                return as_data(self.lightened(answer))

            return register(light)

        return wrap

    def lightened(self, content: Component) -> Component:
        return lightened(content, self._used)

    @functools.cached_property
    def _used(self) -> frozenset[str]:
        """Ids that callbacks read or write; asked for when all are registered."""
        found = set(self._shown_while_running)
        for known in self._app.callback_map.values():
            found.update(str(one["id"]) for one in (*known["inputs"], *known["state"]))
            found.update(
                one.component_id
                for one in _flat(known["output"])
                if isinstance(one.component_id, str)
            )
        return frozenset(found)


def _flat(outputs: Any) -> Iterable[DashDependency]:
    if isinstance(outputs, DashDependency):
        yield outputs
    elif outputs is not None:
        for one in outputs.values() if isinstance(outputs, dict) else outputs:
            yield from _flat(one)
