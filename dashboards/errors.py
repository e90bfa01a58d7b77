"""Errors of the dashboards.

DashboardError
├── DashboardStartError   the operator's: port taken, folder unreadable; the command prints it
├── NotSignedIn           nobody known is asking; 401, or the login page
└── Forbidden             whoever is asking may not; 403, or a sentence on the screen

What is wrong in a link never raises: view.py leaves a note that the screen shows.
"""

from __future__ import annotations


class DashboardError(Exception):
    """Base of all errors of this room."""


class DashboardStartError(DashboardError):
    """The server cannot start. The text is one sentence that says what to do."""


class NotSignedIn(DashboardError):
    """Nobody known is asking."""

    def __init__(self) -> None:
        super().__init__("Sign in first.")


class Forbidden(DashboardError):
    """Whoever is asking may not do that."""

    def __init__(self, permission: str) -> None:
        super().__init__("Your role does not allow this.")
        self.permission = permission
