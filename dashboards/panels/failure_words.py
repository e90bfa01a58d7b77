"""What a failed call means for whoever called, and what to do about it."""

from __future__ import annotations

_FORBIDDEN = 403

WHY = {
    "rate_limited": "Too many calls at once. Spread them out, and wait as Retry-After says.",
    "quota_exceeded": "The plan's quota is used up. Wait for the next window, or ask for more.",
    "unauthorized": "The key or token was missing, wrong or expired.",
    "aborted": "Your side closed the connection before the answer. Look at your timeouts.",
    "server_error": "Failed on the API's side. Trying again later, with a growing pause, helps.",
}
"""Outcome -> what it means for whoever calls, and what to do."""

_BY_STATUS = {
    400: "The API could not read the request. Its parameters or body do not fit.",
    403: "Known, but not allowed: your plan or scope does not cover this.",
    404: "There is nothing at this address; perhaps the id is old.",
    405: "This address exists, but not for this method.",
    409: "The request contradicts the state of things, e.g. it was done already.",
    413: "The body is too large.",
    415: "The Content-Type is not one the API takes.",
    422: "Well-formed, but a value cannot be used.",
}


def reason(outcome: str | None, status_code: int | None) -> str:
    """What an answer means for whoever called."""
    if outcome in WHY and status_code != _FORBIDDEN:
        return WHY[outcome]
    return _BY_STATUS.get(status_code or 0, "The API did not accept the request.")
