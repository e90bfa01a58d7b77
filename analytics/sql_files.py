"""SQL of jobs and queries: files in `sql/`, loaded once, by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "sql"


@cache
def load_sql(name: str) -> str:
    """Text of `sql/<name>.sql`. Raises FileNotFoundError for a name that is not there."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
