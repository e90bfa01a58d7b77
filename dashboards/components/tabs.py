"""A choice between a few ways to look at the same thing; the URL keeps it."""

from __future__ import annotations

from collections.abc import Mapping

from dash import html

from dashboards.components.base import Component, attrs


def tabs(parameter: str, options: Mapping[str, str], chosen: str) -> Component:
    """Buttons that set `parameter` of the URL; options: value -> text. The first is the default."""
    return html.Div(
        [
            html.Button(
                text,
                className="gl-choice on" if value == chosen else "gl-choice",
                type="button",
                **attrs(
                    {
                        "data-gl-set": f"{parameter}={value}",
                        "aria-pressed": str(value == chosen).lower(),
                    }
                ),
            )
            for value, text in options.items()
        ],
        className="gl-choices",
        role="group",
    )


def chosen_of(options: Mapping[str, str], asked: str | None) -> str:
    """What the URL asks for, or the first option."""
    return asked if asked is not None and asked in options else next(iter(options))
