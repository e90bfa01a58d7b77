"""Fixtures every room may use: one headless Chromium for all tests of a process."""

from __future__ import annotations

from tests.browser import browser, browser_context, page

__all__ = ["browser", "browser_context", "page"]
