"""Ready-made dashboards: YAML files in templates/, shown beside people's own and never changed.

Their id is `t-` and the file's name. Saving one makes a copy that belongs to whoever saved it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from dashboards.custom.definition import Dashboard
from dashboards.custom.yaml_text import from_yaml

PREFIX = "t-"

_FOLDER = Path(__file__).with_name("templates")


@dataclass(frozen=True, slots=True)
class Template:
    id: str
    dashboard: Dashboard


@functools.cache
def templates() -> tuple[Template, ...]:
    """All of them, by title. Raises ConfigInvalid for a broken file, which a test rules out."""
    found = [
        Template(PREFIX + path.stem, from_yaml(path.read_text(encoding="utf-8"), path.name))
        for path in _FOLDER.glob("*.yaml")
    ]
    return tuple(sorted(found, key=lambda t: t.dashboard.title))


def template(template_id: str) -> Template | None:
    return next((t for t in templates() if t.id == template_id), None)
