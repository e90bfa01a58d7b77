from __future__ import annotations

import pytest

from tests.dashboards.people.town import Town, build


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Shared by a file's tests: what they add must not disturb each other."""
    return build(tmp_path_factory.mktemp("town"))
