"""A dashboard as YAML: written to be read and kept in a repository, read with lines of mistakes.

Every plain value is read as text and checked by the definition, so that a country `NO` stays Norway
and a version `1.10` keeps its zero.
"""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from alerting.errors import ConfigInvalid, Problem
from alerting.yaml_section import Problems, near_miss, read_yaml
from dashboards.custom.definition import Dashboard, Link, Panel, Place, Threshold, Variable
from dashboards.custom.limits import DEFINITION_BYTES_MAX
from dashboards.custom.source import Source

HEADER = "# A dashboard of Gatelens; read it in at Dashboards, Import.\n"

_MODELS: dict[str, type[BaseModel]] = {
    "panels": Panel,
    "variables": Variable,
    "at": Place,
    "source": Source,
    "thresholds": Threshold,
    "links": Link,
}
"""Field that holds a mapping, or a list of them -> what it is: for hints at unknown fields."""


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks, as people write them."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(dashboard: Dashboard) -> str:
    """The dashboard as a file; `from_yaml` reads the same dashboard back."""
    body: str = yaml.dump(
        dashboard.plain(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    return HEADER + body


def from_yaml(text: str, file: str = "dashboard.yaml") -> Dashboard:
    """Read a file. Raises ConfigInvalid with every mistake, its line and a near miss."""
    problems = Problems(file)
    if len(text.encode()) > DEFINITION_BYTES_MAX:
        problems.add(0, f"The file is larger than {DEFINITION_BYTES_MAX:,} bytes.")
    root = None
    if not problems.found and read_yaml(text, problems) is not None:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None and not problems.found:
        problems.add(0, "The file is empty.", "Start with a line such as `title: My dashboard`.")
    plain = _plain(root, problems) if root is not None else None
    problems.raise_if_any()
    assert root is not None
    try:
        return Dashboard.model_validate(plain)
    except ValidationError as err:
        found = [
            _problem(file, root, detail)
            for detail in err.errors(include_url=False, include_input=False)
        ]
        raise ConfigInvalid(sorted(found, key=lambda p: p.line)) from err


def _plain(node: yaml.Node, problems: Problems) -> Any:
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if name in out:
                line = key.start_mark.line + 1
                problems.add(line, f"{name!r} is there twice.", "Remove one of them.")
            read = _plain(value, problems)
            if read is not None:
                out[name] = read
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, problems) for item in node.value]
    unquoted = isinstance(node, yaml.ScalarNode) and node.style is None
    if unquoted and node.value in ("", "~", "null"):
        return None
    return str(node.value)


def _problem(file: str, root: yaml.Node, detail: ErrorDetails) -> Problem:
    path = detail["loc"]
    line = _line(root, path)
    where = ", ".join(str(part + 1 if isinstance(part, int) else part) for part in path)
    if detail["type"] == "extra_forbidden":
        known = [_MODELS[str(p)] for p in path[:-1] if p in _MODELS]
        model = known[-1] if known else Dashboard
        hint = near_miss(str(path[-1]), tuple(model.model_fields))
        return Problem(file, line, f"There is no field {str(path[-1])!r} here.", hint)
    if detail["type"] == "literal_error":
        expected = str(detail.get("ctx", {}).get("expected", ""))
        words = [w.strip(" '") for w in expected.replace(" or ", ",").split(",")]
        value = _value(root, path)
        return Problem(file, line, f"{where} cannot be {value!r}.", near_miss(value, words))
    said = detail["msg"].removeprefix("Value error, ")
    sentence, _, hint = said.partition(". ")
    return Problem(file, line, f"{where}: {sentence}.".lstrip(": "), hint)


def _line(node: yaml.Node, path: tuple[int | str, ...]) -> int:
    """Line of the deepest part of the path that is in the file."""
    line = node.start_mark.line + 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pair = next((p for p in node.value if p[0].value == part), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return line
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _value(node: yaml.Node, path: tuple[int | str, ...]) -> str:
    for part in path:
        if isinstance(node, yaml.MappingNode):
            node = next(p[1] for p in node.value if p[0].value == part)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
    return str(node.value)[:60]
