"""Running a coroutine to its end from a test.

In a thread of its own: where a browser test ran before in the same process, playwright's loop still
counts as running in the main thread, and `asyncio.run` refuses.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, or its exception."""
    with ThreadPoolExecutor(1) as thread:
        asking = contextvars.copy_context()  # who asks is in it (dashboards/identity.py)
        return thread.submit(asking.run, asyncio.run, coroutine).result()
