"""Errors of this room.

AnalyticsError
├── QueryRefused          the caller's fault; asking again does not help
│   ├── InvalidTimeRange
│   ├── UnknownDimension
│   └── UnknownMeasure
└── JobError              a job did not do its work
    ├── LeaseLost         another scheduler holds the job; nothing was lost
    └── UnknownJob
"""

from __future__ import annotations


class AnalyticsError(Exception):
    """Base. `str()` is one sentence that says what to do."""


class QueryRefused(AnalyticsError):
    """The question cannot be answered as asked."""


class InvalidTimeRange(QueryRefused):
    """Empty, reversed, too long or unreadable."""


class UnknownDimension(QueryRefused):
    """Grouping or filtering by a name that is no dimension."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no dimension is called {name[:60]!r}; use one of {', '.join(known)}")
        self.name = name


class UnknownMeasure(QueryRefused):
    """A measure that is not in MEASURES."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no measure is called {name[:60]!r}; use one of {', '.join(known)}")
        self.name = name


class JobError(AnalyticsError):
    """A job failed; it keeps its place and is tried again."""


class LeaseLost(JobError):
    """The lease went to another holder while the job ran; its result is not written."""


class UnknownJob(JobError):
    """No job of that name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no job is called {name[:60]!r}; jobs: {', '.join(known)}")
        self.name = name
