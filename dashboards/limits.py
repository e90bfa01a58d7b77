"""Every bound of this room: value, unit, what is bounded, what happens beyond it."""

from __future__ import annotations

CALLBACK_BODY_BYTES_MAX = 1 << 20
"""Body of one screen update. Real ones have 1-20 KB. Beyond: 413."""

SQL_BODY_BYTES_MAX = 128 << 10
"""Body of one SQL request; the statement itself is capped at 64 KiB by the guard. Beyond: 413."""

STATEMENTS_SAVED_MAX = 500
"""Statements one person keeps by name. Beyond: refused, with a sentence."""

URL_SEARCH_CHARS_MAX = 4096
"""Query string a screen reads. Beyond: ignored, the defaults are shown and a note says so."""

FILTER_CHARS_MAX = 300
"""One filter value from the URL. Beyond: that filter is ignored with a note."""

RANGE_DAYS_MAX = 1830
"""Longest time range of a screen (five years: the longest tier). Beyond: cut at its start."""

SERIES_MAX = 8
"""Lines in one chart; the rest is summed up as 'others'."""

POINTS_PER_SERIES_TARGET = 120
"""The interval of a chart is the smallest nice one that gives no more points than this."""

TABLE_ROWS_MAX = 1_000
"""Rows of one table on a screen; the largest are shown, a note says that there are more."""

SHUTDOWN_GRACE_S = 2
"""Seconds open requests get on SIGTERM before they are cut off."""

WATERFALL_SPANS_MAX = 12_000
"""Spans of one trace that are loaded; beyond, the earliest are shown and a note says so."""

LOG_ROWS_MAX = 500
"""Log records on one page of the logs screen."""

OUTAGES_SHOWN_MAX = 50
"""Times without a collector that Operate lists, the newest ones; the number above counts all."""

REQUEST_ROWS_MAX = 300
"""Raw requests on one page; narrower ranges and filters show others."""

WARM_AFTER_S = 5.0
"""Seconds after the start before screens are made ready in the background."""

WARM_EVERY_S = 600.0
"""Seconds between two rounds of it: an hour is settled long before."""

WARM_TENANTS_MAX = 8
"""Tenants whose screens are kept ready, those with most data. Others wait for their first visit."""

HEAD_STARTS_MAX = 24
"""Answers being made when a page is sent. Beyond: its questions wait for its updates."""
