"""Which errors are a person's to mend: they end a command with one sentence, not a stack trace."""

from __future__ import annotations

from dataclasses import dataclass

from alerting.errors import AlertingError
from analytics.errors import AnalyticsError
from collector.errors import CollectorError
from dashboards.errors import DashboardError
from gatelens.errors import GatelensError
from storage.errors import StorageError


@dataclass(frozen=True, slots=True)
class Sentence:
    """What to print and with which code to end."""

    text: str
    exit_code: int


def sentence_for(err: Exception) -> Sentence | None:
    """The sentence for a known error; None for a mistake of ours, which keeps its stack trace."""
    if isinstance(err, GatelensError):
        return Sentence(str(err), err.exit_code)
    if isinstance(
        err, StorageError | CollectorError | AnalyticsError | AlertingError | DashboardError
    ):
        return Sentence(str(err), 2)
    return None
