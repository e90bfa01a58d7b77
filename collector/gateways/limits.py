"""Limits of the gateway formats: value, unit, what is bounded, what happens beyond it."""

from __future__ import annotations

REJECT_RECORD_BYTES_MAX = 4096
"""Bytes of an unreadable record that are kept in `rejects`; the rest is cut off."""

LINE_BYTES_MAX = 64 * 1024
"""A longer line is no access-log record and is rejected (NGINX: request lines end at 8 KiB)."""

TEXT_CHARS_MAX = 2048
"""Characters kept of a path, user agent or other free text a client chose; the rest is cut off."""

NAME_CHARS_MAX = 256
"""Characters kept of a name (API, consumer, host, id); the rest is cut off."""

DURATION_MS_MAX = 30 * 24 * 3600 * 1000.0
"""A longer duration is taken as unknown (NULL), not as a month-long request."""
