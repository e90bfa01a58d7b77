"""Limits of this room: what is bounded, and what happens beyond it."""

from __future__ import annotations

RANGE_DAYS_MAX = 366 * 6
"""Days in one question. Beyond: refused. A little more than the day tier is kept."""

GROUPS_MAX = 10_000
"""Groups one answer returns when the caller set no limit; the rest is cut, largest first."""

POINTS_MAX = 50_000
"""Rows of a time series (groups x intervals) that are filled with explicit gaps. Beyond: sparse."""

SAMPLE_ROWS_MAX = 10_000
"""Raw requests one call returns."""

FILTER_VALUES_MAX = 1_000
"""Values in one filter. Beyond: refused."""

PENDING_ROWS_MAX = 3_000_000
"""Rows not yet in a rollup that a question adds itself. Beyond: left out; completeness says so."""

RAW_LATENCY_ROWS_MAX = 20_000_000
"""Raw rows a breakdown reads for quantiles that no rollup keeps. Beyond: quantiles are NULL."""

RAW_PEAK_HOURS_MAX = 6
"""Hours of raw requests read for peaks per second and for what gateways report of quotas."""

EXACT_CLIENTS_ROWS_MAX = 5_000_000
"""Raw rows over which unique clients are counted exactly. Beyond: a sixteenth of them, by hash."""

POINTS_PER_SERIES_MAX = 20_000
"""Intervals in one series. Beyond: refused."""

REPORT_SCHEDULES_MAX = 1_000
"""Report schedules of one tenant. Beyond: refused."""

REPORT_RECIPIENTS_MAX = 50
"""Addresses of one schedule. Beyond: refused."""

REPORT_CATCH_UP_MAX = 7
"""Missed periods a schedule makes up for after an outage; older ones are not sent."""

REPORT_DELIVERIES_SHOWN_MAX = 200
"""Deliveries one answer lists, newest first."""

MSTL_SERIES_MAX = 20
"""Consumers one answer forecasts with MSTL, which is slow. Beyond: refused; ours does thousands."""

CALENDAR_WINDOWS_MAX = 400
"""Calendar days, weeks or months one answer tells side by side: a year of days. Beyond: refused."""

OUTAGES_MAX = 500
"""Times without a collector that one answer tells, the longest of them. Beyond: not told."""

SETTLED_BYTES_MAX = 192 * 2**20
"""Bytes of settled hours a process keeps between questions. Beyond: least recently used go."""

SETTLED_MINUTES_ROWS_MAX = 300_000
"""Rows of one hour's sums by minute that are kept. Beyond: such an hour is read each time."""

SETTLED_ROWS_MAX = 1_000_000
"""Rows of settled hours one question adds to what is kept. Beyond: nothing of it is kept."""

CHANGES_KEPT_MAX = 100
"""Pairs of versions of a table whose changes are kept between questions. Beyond: all forgotten."""
