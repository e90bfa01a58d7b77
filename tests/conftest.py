"""Fixtures every room may use: one headless Chromium for all tests of a process, seeds."""

from __future__ import annotations

import gc
import os
import random
import shutil
import sys
from pathlib import Path

import pytest

from tests.browser import browser, browser_context, page

# Many images forbid bytecode files; then each process of a test would compile all it imports anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

MEMORY = Path("/dev/shm")
"""Where fsync costs nothing. Cut power is played (tests/power_cut.py) and kills leave written pages
alone, so no test needs a disk's own fsync."""
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

gc.disable()  # importing makes millions of objects, and none of them ends


def pytest_collection_finish() -> None:
    """From here on garbage is looked for, but not among what was imported: that took seconds."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture
def seed() -> int:
    """For what a test leaves to chance. Printed with a failure; GATELENS_TEST_SEED sets it."""
    told = os.environ.get("GATELENS_TEST_SEED")
    value = int(told) if told else random.SystemRandom().randrange(2**32)
    sys.stdout.write(f"GATELENS_TEST_SEED={value} runs this again with the same chances.\n")
    return value


__all__ = ["browser", "browser_context", "page", "seed"]
