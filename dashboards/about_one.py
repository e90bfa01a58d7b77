"""What pages about one thing share: whose page it is, the view narrowed to it, the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dash import dcc, html

from dashboards import format as fmt
from dashboards.components import Component, crumbs
from dashboards.data import Data
from dashboards.view import View

NAME_CHARS_MAX = 300
"""Of a name as the address has it; longer is cut off and finds nothing."""


@dataclass(frozen=True, slots=True)
class AboutOne:
    """Pages about one value of a dimension, below the screen that lists all of them."""

    dimension: Literal["api", "consumer"]
    all: str
    """What the list is called."""
    path: str

    @property
    def name(self) -> str:
        """Id of the store with the name, which callbacks take as their state."""
        return f"{self.dimension}-name"

    def above(self, name: str) -> tuple[Component, Component]:
        """What stands above the head of the page; the way back comes with its answer."""
        return dcc.Store(id=self.name, data=name), html.Div(id=f"{self.dimension}-crumbs")

    def views(self, data: Data, stored: object, name: object) -> tuple[View, View]:
        """The page's view as the URL says it, and the same narrowed to this one."""
        full = data.view(stored)
        return full, full.narrowed(**{self.dimension: str(name)[:NAME_CHARS_MAX]})

    def way_back(self, full: View, name: object) -> Component:
        return crumbs((self.all, self.path + full.query()), (fmt.plain(str(name), 60), ""))


ONE_API = AboutOne("api", "APIs", "/apis")
ONE_CONSUMER = AboutOne("consumer", "Consumers", "/consumers")
