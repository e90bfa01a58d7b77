"""Errors of the dashboards.

DashboardError
└── DashboardStartError   the operator's: port taken, folder unreadable; the command prints it

What is wrong in a link never raises: view.py leaves a note that the screen shows.
"""

from __future__ import annotations


class DashboardError(Exception):
    """Base of all errors of this room."""


class DashboardStartError(DashboardError):
    """The server cannot start. The text is one sentence that says what to do."""
