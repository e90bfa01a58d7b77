"""`gatelens rules`: check, test and back-test alert rules before anybody is woken by them."""

from __future__ import annotations

import typer

app = typer.Typer(help="Check, test and back-test alert rules.", rich_markup_mode=None)
