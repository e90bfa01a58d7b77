"""Text with `{name}` in it. Nothing else: no attributes, no indexes, no format specs, no code.

Label values come from the telemetry of strangers, so they are put in once and never looked at
again: a value that reads `{value}` or `{{ ... }}` stays as it is. A template that cannot be
rendered still gives a text, with the error in it: an alert is never held back by its wording.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from alerting.limits import TEXT_CHARS_MAX

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def template_problem(template: str, known: Collection[str]) -> str:
    """What is wrong with a template, as a sentence; '' = nothing."""
    for match in _PLACEHOLDER.finditer(template):
        token, name = match[0], match[1]
        if token in ("{{", "}}"):
            continue
        if name is None:
            return f"a lone {token!r}; write {token * 2!r} for the character"
        if name not in known:
            return f"nothing is called {{{name}}}; known are {', '.join(sorted(known))}"
    return ""


def render(template: str, values: Mapping[str, str]) -> str:
    """The text, at most TEXT_CHARS_MAX long. `{{` and `}}` give braces. Never raises."""
    problem = template_problem(template, values.keys())

    def fill(match: re.Match[str]) -> str:
        token = match[0]
        if token in ("{{", "}}"):
            return token[0]
        return values.get(match[1] or "", token)

    text = _PLACEHOLDER.sub(fill, template)
    if problem:
        text = f"{text} [template error: {problem}]"
    return cut(text, TEXT_CHARS_MAX)


def cut(text: str, chars: int) -> str:
    """At most `chars` characters, an ellipsis where something was left out."""
    return text if len(text) <= chars else text[: chars - 1] + "\N{HORIZONTAL ELLIPSIS}"
