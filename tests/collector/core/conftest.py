from __future__ import annotations

from collections.abc import Iterator

import pytest

from collector import fault_points


@pytest.fixture(autouse=True)
def no_faults_left() -> Iterator[None]:
    yield
    fault_points.arm("")
