"""Real installations for the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An empty installation; nothing runs yet. Everything started on it is stopped at the end."""
    made = Installation(tmp_path / "data")
    yield made
    made.stop()
