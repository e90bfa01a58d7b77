"""Errors of custom dashboards; every text is a sentence that a screen may show.

CustomError
├── DashboardMissing    no such dashboard, version or link
├── DashboardConflict   somebody else saved in between; carries who and which version
└── DashboardRefused    what was sent is no dashboard, or a bound is passed
"""

from __future__ import annotations

from dashboards.errors import DashboardError


class CustomError(DashboardError):
    """Base of all errors of custom dashboards."""


class DashboardMissing(CustomError):
    """404: there is none by that id."""

    def __init__(self, what: str = "dashboard") -> None:
        super().__init__(f"There is no such {what}.")


class DashboardConflict(CustomError):
    """409: the version the editor started from is not the newest any more. Nothing was written."""

    def __init__(self, author: str, version: int) -> None:
        super().__init__(
            f"{author} saved version {version} in the meantime. Your changes are not lost: keep "
            "this page open and save them as a copy, or look at the difference first."
        )
        self.author = author
        self.version = version


class DashboardRefused(CustomError):
    """400: the text says what to change."""
