"""What collectors learned about gateways and keep in the data folder, for all to read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

FRONTS_FILE = "fronts.json"
"""Tenant -> service -> the gateway in front of it, see collector/naming/fronts.py."""

TWINS_FILE = "twins.json"
"""Tenant -> service.name and route of a gateway's spans -> kind of the gateway whose access log
tells of the same calls, see collector/naming/twins.py."""

Learned = dict[str, dict[str, str]]


def read_learned(file: Path) -> Learned:
    """Empty if there is no such file or it is damaged (it is learned anew then)."""
    try:
        found = json.loads(file.read_text())
        return {
            str(tenant): {str(name): str(value) for name, value in facts.items()}
            for tenant, facts in found.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as err:
        log.warning("learned_not_read", path=str(file), error=str(err))
        return {}


def write_learned(file: Path, learned: Mapping[str, Mapping[str, str]]) -> None:
    """Replace the file. A failure is only logged: after a restart it is learned anew."""
    draft = file.with_suffix(".new")
    try:
        draft.write_text(json.dumps(learned, indent=1, sort_keys=True))
        os.replace(draft, file)
    except OSError as err:
        log.warning("learned_not_written", path=str(file), error=str(err))
