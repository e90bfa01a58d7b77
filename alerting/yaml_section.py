"""YAML read field by field, so that every mistake is told with its line and a near miss.

`read_yaml` gives a `Section` (a mapping) whose fields are taken one by one; `finish` reports what
nobody took. All problems are collected, so that one run shows all of them. Only plain YAML is
taken: no tags, no aliases (an alias bomb is refused, not expanded).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import yaml

from alerting.errors import ConfigInvalid, Problem
from alerting.limits import CONFIG_FILE_BYTES_MAX

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w)")
_DURATION_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def parse_duration(text: str) -> float | None:
    """Seconds of '15s', '1h30m', '2d'; '0' is 0. None when it is not a duration."""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        return None
    return float(sum(int(n) * _DURATION_S[u] for n, u in parts))


def near_miss(word: str, known: Collection[str]) -> str:
    """A hint sentence: the closest known word, or all of them when they are few."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    listed = ", ".join(sorted(known))
    return f"Known: {listed}." if len(listed) <= 400 else ""


class Problems:
    """Collects the mistakes of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Problem] = []

    def add(self, line: int, message: str, hint: str = "") -> None:
        self.found.append(Problem(self.file, line, message, hint))

    def raise_if_any(self) -> None:
        """Raises ConfigInvalid with all problems in line order."""
        if self.found:
            raise ConfigInvalid(sorted(self.found, key=lambda p: p.line))


class Section:
    """A mapping of the file. Every taker notes the field as known; `finish` reports the rest."""

    def __init__(self, node: yaml.MappingNode, problems: Problems, title: str) -> None:
        self.line = _line(node)
        self.title = title
        self.problems = problems
        self._nodes: dict[str, yaml.Node] = {}
        self._key_lines: dict[str, int] = {}
        self._taken: set[str] = set()
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if name in self._nodes:
                problems.add(_line(key), f"{title} has {name!r} twice.", "Remove one of them.")
            self._nodes[name] = value
            self._key_lines[name] = _line(key)

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def line_of(self, name: str) -> int:
        """Line of a field, or of the section when it is not there."""
        return self._key_lines.get(name, self.line)

    def wrong(self, name: str, message: str, hint: str = "") -> None:
        self.problems.add(self.line_of(name), message, hint)

    def text(
        self,
        name: str,
        default: str = "",
        *,
        required: bool = False,
        choices: Sequence[str] | None = None,
    ) -> str:
        node = self._take(name, required)
        if node is None:
            return default
        if not isinstance(node, yaml.ScalarNode):
            self.wrong(name, f"{name!r} must be one text.")
            return default
        value = str(node.value)
        if required and not value.strip():
            self.wrong(name, f"{name!r} is empty.")
        if choices is not None and value not in choices:
            self.wrong(name, f"{name!r} cannot be {value!r}.", near_miss(value, choices))
            return default
        return value

    def number(
        self,
        name: str,
        default: float = 0.0,
        *,
        minimum: float | None = None,
        required: bool = False,
    ) -> float:
        raw = self.text(name, required=required)
        if not raw:
            return default
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.wrong(name, f"{name!r} must be a number, not {raw!r}.")
            return default
        if minimum is not None and not value >= minimum:
            self.wrong(name, f"{name!r} must be at least {minimum:g}.")
            return default
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        raw = self.text(name, "true" if default else "false").lower()
        if raw not in ("true", "false", "yes", "no", "on", "off"):
            self.wrong(name, f"{name!r} must be true or false, not {raw!r}.")
            return default
        return raw in ("true", "yes", "on")

    def duration_s(self, name: str, default: float = 0.0, *, positive: bool = False) -> float:
        raw = self.text(name)
        if not raw:
            return default
        value = parse_duration(raw)
        if value is None:
            self.wrong(name, f"{name!r} is no duration: {raw!r}.", "Write 15s, 5m, 1h30m or 2d.")
            return default
        if positive and value <= 0:
            self.wrong(name, f"{name!r} must be longer than 0.")
            return default
        return value

    def texts(
        self, name: str, default: tuple[str, ...] = (), choices: Collection[str] | None = None
    ) -> tuple[str, ...]:
        """A list of texts; a single text counts as a list of one."""
        node = self._take(name, False)
        if node is None:
            return default
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: list[str] = []
        for item in items:
            if not isinstance(item, yaml.ScalarNode):
                self.problems.add(_line(item), f"{name!r} must be a list of texts.")
                continue
            value = str(item.value)
            if choices is not None and value not in choices:
                self.problems.add(
                    _line(item), f"{name!r} cannot have {value!r}.", near_miss(value, choices)
                )
                continue
            found.append(value)
        return tuple(found)

    def text_map(self, name: str) -> dict[str, str]:
        section = self.section(name)
        if section is None:
            return {}
        return {key: section.text(key) for key in section.names()}

    def section(self, name: str, *, required: bool = False) -> Section | None:
        node = self._take(name, required)
        if node is None:
            return None
        if not isinstance(node, yaml.MappingNode):
            self.wrong(name, f"{name!r} must be a mapping (key: value lines).")
            return None
        return Section(node, self.problems, name)

    def sections(self, name: str, *, required: bool = False) -> Iterator[Section]:
        """Every mapping in a list of mappings."""
        node = self._take(name, required)
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(name, f"{name!r} must be a list (lines that start with '- ').")
            return
        for item in node.value:
            if isinstance(item, yaml.MappingNode):
                yield Section(item, self.problems, f"entry of {name}")
            else:
                self.problems.add(_line(item), f"Every entry of {name!r} must be a mapping.")

    def names(self) -> tuple[str, ...]:
        return tuple(self._nodes)

    def finish(self) -> None:
        """Report every field that nobody asked for."""
        known = self._taken
        for name in self._nodes:
            if name not in known:
                self.wrong(name, f"{self.title} has no field {name!r}.", near_miss(name, known))

    def _take(self, name: str, required: bool) -> yaml.Node | None:
        self._taken.add(name)
        node = self._nodes.get(name)
        if node is not None and node.tag == "tag:yaml.org,2002:null":
            node = None
        if node is None and required:
            self.problems.add(self.line, f"{self.title} lacks {name!r}.")
        return node


def read_yaml(text: str, problems: Problems) -> Section | None:
    """The file's top mapping; None for an empty file or when a problem was added."""
    if len(text) > CONFIG_FILE_BYTES_MAX:
        problems.add(0, f"The file is larger than {CONFIG_FILE_BYTES_MAX} bytes.", "Split it.")
        return None
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 0
                problems.add(line, "Aliases are not taken.", "Write it out.")
                return None
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as err:
        line = err.problem_mark.line + 1 if err.problem_mark else 0
        problems.add(line, f"This is not YAML: {err.problem or err.context}.")
        return None
    except (yaml.YAMLError, RecursionError) as err:
        problems.add(0, f"This is not YAML: {type(err).__name__}.")
        return None
    if node is None:
        return None
    if not isinstance(node, yaml.MappingNode):
        problems.add(_line(node), "The file must be a mapping at its top.")
        return None
    return Section(node, problems, "The file")


def read_text(path: Path, problems: Problems) -> str:
    """The file's text; '' with a problem added when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is not UTF-8"
        problems.add(0, f"The file cannot be read: {reason}.")
        return ""


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
