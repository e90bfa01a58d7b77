"""What people and their admins can get wrong. Each is one sentence for whoever did it.

PeopleError(DashboardError)
├── BadUser            a name, role, tenant or list that cannot be used
├── NoSuchUser         nobody of that name (or not in the admin's tenant)
├── WeakPassword       too short, or the name itself
├── WrongPassword      name or password is wrong, or the user is disabled: never says which
├── TooManyAttempts    wait `retry_after_s`
├── LinkGone           a link that works once has worked, or is too old
├── NoSuchToken        no token of that name
└── SignOnFailed       the provider's answer cannot be trusted or gives no role
"""

from __future__ import annotations

from dashboards.errors import DashboardError


class PeopleError(DashboardError):
    """Base."""


class BadUser(PeopleError):
    """The message says which part, and what would do."""


class NoSuchUser(PeopleError):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is no user named {name[:100]!r}.")


class WeakPassword(PeopleError):
    """The message says what to change."""


class WrongPassword(PeopleError):
    def __init__(self) -> None:
        super().__init__("The name or the password is wrong.")


class TooManyAttempts(PeopleError):
    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_s = max(1, round(retry_after_s))
        super().__init__(f"Too many attempts; try again in {self.retry_after_s} seconds.")


class LinkGone(PeopleError):
    def __init__(self) -> None:
        super().__init__("This link was used already or is too old; ask for a new one.")


class NoSuchToken(PeopleError):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is no token named {name[:100]!r}.")


class SignOnFailed(PeopleError):
    """The message is for the person; what exactly was wrong goes to the log."""
