"""What texts, names and links in a definition may be; everything is hostile until it is checked.

Each raises ValueError, of which pydantic makes a problem of the field.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, ValidationError

from alerting.yaml_section import near_miss

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff\x85\u2028\u2029]")


class Strict(BaseModel):
    """Every part of a definition: unknown fields are refused, values are not said back."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def checked_text(text: str) -> str:
    """As it is; line ends and tabs are fine."""
    if _CONTROL.search(text):
        raise ValueError("control characters are not taken")
    return text


def one_line(text: str) -> str:
    """Without white space around it."""
    text = checked_text(text).strip()
    if "\n" in text or "\t" in text:
        raise ValueError("it must be one line")
    return text


def safe_url(url: str) -> str:
    """An address that can only be followed: https, http, or a path of ours. Raises ValueError."""
    inside = url.startswith("/") and not url.startswith(("//", "/\\"))
    if not (inside or url.startswith(("https://", "http://"))) or re.search(
        r"[\s\x00-\x1f\\]", url
    ):
        raise ValueError("a link starts with https:// or / and has no spaces")
    return url


def one_of(name: str, known: tuple[str, ...], what: str) -> str:
    if name not in known:
        raise ValueError(f"there is no {what} {name[:60]!r}. {near_miss(name[:60], known)}".strip())
    return name


def no_twins(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the {what} {name!r} is there twice")


def first_problem(err: ValidationError) -> str:
    """The first mistake as a sentence that says where: 'panels, 2, unit: ...'."""
    found = err.errors(include_url=False, include_input=False)[0]
    where = ", ".join(str(part + 1 if isinstance(part, int) else part) for part in found["loc"])
    said = found["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
