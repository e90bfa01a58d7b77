"""What happens when a panel fails: a sentence on the screen, the reason in the log, never a stack.

Also marks callbacks: every function registered with Dash is a coroutine, since a synchronous one
would block the event loop for everybody (Dash runs it inline on the FastAPI backend).
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

import structlog
from dash import html, no_update
from dash.exceptions import PreventUpdate

from analytics.errors import QueryRefused
from dashboards.components import failure
from dashboards.errors import Forbidden

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def guarded(
    *, outputs: int = 1, show_in: int | None = None
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[Any]]]:
    """Wrap a coroutine callback with `outputs` outputs.

    On failure the output at index `show_in` gets a sentence with the request id (None: all keep
    what they show), the others keep what they show; the log has the reason under that id.
    """

    def wrap(callback: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[Any]]:
        @functools.wraps(callback)
        async def run(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                return await callback(*args, **kwargs)
            except PreventUpdate:
                raise
            except Forbidden as err:
                shown: list[Any] = [no_update] * outputs
                if show_in is not None:
                    shown[show_in] = html.Div(str(err), className="gl-failure", role="alert")
                return tuple(shown) if outputs > 1 else shown[0]
            except Exception as err:
                request_id = secrets.token_hex(4)
                event = "panel_refused" if isinstance(err, QueryRefused) else "panel_failed"
                log.exception(event, panel=callback.__name__, request_id=request_id)
                shown = [no_update] * outputs
                if show_in is not None:
                    shown[show_in] = failure(request_id)
                return tuple(shown) if outputs > 1 else shown[0]

        return run

    return wrap
