"""Every limit of the alerting room: value, unit, what is bounded, what happens beyond it."""

from __future__ import annotations

CONFIG_FILE_BYTES_MAX = 1_000_000
"""A rules or channels file. Larger ones are refused before parsing."""

RULES_MAX = 5_000
"""Rules in one engine. More are refused when loading."""

SERIES_PER_RULE_MAX = 10_000
"""Series one rule may track. Beyond it the ones with most requests are kept; the rest are counted
in `Evaluation.series_dropped` and logged, never silently."""

SHARED_SERIES_MAX = 100_000
"""Series in one answer that many alike rules share. Beyond it every rule asks for itself."""

ALERTS_PER_NOTICE_MAX = 100
"""Alerts listed in one notification. Beyond it `truncatedAlerts` says how many are left out."""

TEXT_CHARS_MAX = 2_000
"""One rendered annotation. Longer ones are cut and end in an ellipsis."""

EXPLAINED_MAX = 20
"""Alerts explained in one round. In a storm the rest open without contributors."""

LABEL_CHARS_MAX = 500
"""One label value. Longer ones are cut; the fingerprint is taken from the whole value."""

NO_DATA_KEEP_S = 3_600.0
"""How long `no_data: keep` holds a firing alert whose series is gone while other data arrives.
Then it is resolved, saying so: an API that was switched off must not fire for ever."""

SQL_RULE_S_MAX = 5.0
"""One query of an `sql` rule. Beyond it the query is killed and the rule reported as failed."""

LOOK_EVERY_S_MAX = 60.0
"""A rule over long windows is looked at every 1/100 of its span of data, at most this rarely: a
month's sum does not move in 5 s, and asking for it costs."""

QUOTA_LOOK_EVERY_S = 150.0
"""Quotas are forecast from four weeks of every consumer: seconds of work on a large lake, about
numbers that move in hours. Below EVALUATION_GAP_S, so that `for` works."""

EVALUATION_GAP_S = 180.0
"""Time between two evaluations that may count towards `for`. More (a restart, a pause) does not
count: two breaches an hour apart do not prove an hour of breach."""

RESOLVED_KEPT_S = 86_400.0
"""How long a resolved, inactive or no-data alert stays in the table of instances. The history
keeps it for good."""

DELIVERED_KEPT_S = 7 * 86_400.0
"""How long a delivered notification stays in the outbox. Dead letters stay until someone acts."""

DELIVERY_TIMEOUT_S = 5.0
"""One notification to one channel, connect to last byte. Then it is retried later."""

DELIVERY_ATTEMPTS_MAX = 30
"""Attempts before a notification becomes a dead letter; with the backoff about 5 hours."""

BACKOFF_BASE_S = 2.0
BACKOFF_MAX_S = 900.0
"""Wait before attempt n: min(max, base * 2^(n-1)), of which a random half is taken off."""

RETRY_AFTER_MAX_S = 3_600.0
"""The longest wait a receiver may ask for; more is cut."""

CHANNEL_BATCH_MAX = 50
"""Notifications one channel sends per round, so that stopping never waits for a long queue."""

RESPONSE_BYTES_MAX = 4_096
"""Of a receiver's answer, read for the error message; the rest is discarded."""

SILENCE_S_MAX = 90 * 86_400.0
"""The longest silence. A longer one is a rule to delete."""

FLAPPING_OPENS = 4
FLAPPING_WITHIN_S = 1_800.0
FLAPPING_CALM_S = 600.0
"""An alert that opens this often within that time flaps, until nothing changed for the calm time.
Meanwhile it is told as firing once; its further opens and closes are shown and kept, not sent."""

SILENCE_WARNING_S = 900.0
"""How long before its end a silence that still keeps firing alerts quiet is warned of."""

MAINTENANCE_S_MAX = 30 * 86_400.0
"""The longest one-off maintenance window. Recurring ones may go on for ever."""

OVERRIDE_S_MAX = 60 * 86_400.0
"""The longest time one person may stand in for another on a rotation."""

SLOW_SERIES_MAX = 100
"""Series of one latency objective: each costs a histogram of its own. More are refused."""

JOB_REMEMBERED_S = 86_400.0
"""A job that ended well this long ago and never since is forgotten (it was renamed or removed)."""

COLLECTOR_REMEMBERED_S = 86_400.0
"""After so long without any collector there is none that could be missed (data is imported)."""

SQL_LOOK_EVERY_S = 15.0
"""Rules that are queries (sql, log_match, trace_match, probe, pipeline) look at most this often:
every look is a query over raw rows."""

PROMQL_CHARS_MAX = 10_000
PROMQL_DEPTH_MAX = 50
"""One expression of an imported Prometheus rule. Beyond it the rule is refused."""

REPORT_TIMEOUT_S = 30.0
"""One report to its mail host: attachments take longer than a notification."""
