"""A screen is for those whose role has its permission: its callbacks run for nobody else, whatever
the body claims, and links to it are shown to nobody else.

A page gets a `Doorkeeper` for its `app`; every callback it registers is checked, so a page cannot
forget it. A screen without a line in `roles.PAGES` does not start.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from dashboards import identity
from dashboards.roles import PAGES, Permission


def permission_of(key: str) -> Permission:
    """What the screen with this first part of its path asks for."""
    if key not in PAGES:
        raise LookupError(f"The screen {key!r} has no line in dashboards/roles.py PAGES.")
    return PAGES[key]


def opens(href: str) -> bool:
    """Whether the screen a link leads to is for whoever is asking. True for what is no screen."""
    first = href.split("?")[0].split("#")[0].strip("/").split("/")[0]
    return not href.startswith("/") or first not in PAGES or identity.allowed(PAGES[first])


class Doorkeeper:
    """A Dash app as a page sees it. Only what pages need is passed on."""

    def __init__(self, app: Any, permission: Permission) -> None:
        self._app = app
        self._permission: Permission = permission
        self.clientside_callback = app.clientside_callback

    def callback(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        register = self._app.callback(*args, **kwargs)

        def wrap(function: Callable[..., Awaitable[Any]]) -> Any:
            @functools.wraps(function)
            async def checked(*values: Any, **named: Any) -> Any:
                identity.require(self._permission)
                return await function(*values, **named)

            return register(checked)

        return wrap
