"""Errors of the alerting room.

AlertingError
|-- ConfigInvalid         a YAML file says something wrong; carries every problem with its line
|-- RuleFailed            one rule could not be evaluated; the others go on
|-- SecretMissing         an `env:` or `file:` reference leads nowhere
|-- DeliveryFailed        a channel did not take a notification; `retry`: try again
|   |-- AddressRefused    the target is a private or unsuitable address: never retried
|-- SilenceInvalid        a silence that matches everything, or has no sane times
|-- MaintenanceInvalid    a maintenance window without a name, an author, or sane times
|-- OnCallInvalid         an override of a rotation that cannot be
|-- RuleConflict          a stored rule was changed by somebody else meanwhile, or is not there
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class AlertingError(Exception):
    """Base of all. `hint` is one sentence that says what to do; '' where nothing can be said."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file. `line` counts from 1; 0 = the file as a whole."""

    file: str
    line: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}{' ' + self.hint if self.hint else ''}"


class ConfigInvalid(AlertingError):
    """A rules, channels or test file has mistakes; `problems` has all of them, in line order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = tuple(problems)


class RuleFailed(AlertingError):
    """A rule could not be evaluated. Its alerts keep their state until it can be again."""

    def __init__(self, rule: str, reason: str, hint: str = "") -> None:
        super().__init__(f"Rule {rule!r} could not be evaluated: {reason}", hint)
        self.rule = rule


class SecretMissing(AlertingError):
    """A secret's reference leads nowhere. Never carries a secret, only its reference."""


class DeliveryFailed(AlertingError):
    """A channel did not take a notification.

    retry: False = it never will (bad address, refused payload): a dead letter at once.
    retry_after_s: what the receiver asked for (HTTP 429/503 Retry-After); None = it did not say.
    """

    def __init__(
        self, message: str, *, retry: bool, retry_after_s: float | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint)
        self.retry = retry
        self.retry_after_s = retry_after_s


class AddressRefused(DeliveryFailed):
    """The target resolves to an address that may not be called."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, retry=False, hint=hint)


class SilenceInvalid(AlertingError):
    """A silence that was refused; the message says why."""


class MaintenanceInvalid(AlertingError):
    """A maintenance window that was refused; the message says why."""


class OnCallInvalid(AlertingError):
    """An override of a rotation that was refused; the message says why."""


class RuleConflict(AlertingError):
    """A stored rule is not what its editor saw: it changed, was deleted, or exists already."""
