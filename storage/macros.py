"""SQL macros every query may use, for our own SQL and for analysts.

Searching text in any case goes through RE2: `contains(lower(text), part)` takes nearly twice as
long, since it makes every text anew (log bodies of one core and second: 0.39 -> 0.66 GB).

Latency buckets are logarithmic with base 1.02: bucket b holds [1.02^b, 1.02^(b+1)) ms, and its
geometric middle is within 1 % of every value in it. Times of zero (or below) are bucket -32768.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

LATENCY_BASE = 1.02
"""Ratio between neighbouring bucket bounds; 1 % relative error at the geometric middle."""

ZERO_BUCKET = -32768
"""Bucket of times of 0 ms and below."""


@dataclass(frozen=True, slots=True)
class Macro:
    name: str
    parameters: str
    body: str
    description: str

    @property
    def sql(self) -> str:
        return f"CREATE OR REPLACE MACRO {self.name}({self.parameters}) AS {self.body}"


MACROS = (
    Macro(
        "latency_bucket",
        "ms",
        "CASE WHEN ms IS NULL OR isnan(ms) THEN NULL "
        f"WHEN ms <= 0 THEN CAST({ZERO_BUCKET} AS SMALLINT) "
        f"ELSE least(greatest(floor(ln(ms) / ln({LATENCY_BASE})), -32767), 32767)::SMALLINT END",
        "Bucket of a time in ms; NULL for NULL.",
    ),
    Macro(
        "bucket_ms",
        "bucket",
        f"CASE WHEN bucket IS NULL THEN NULL WHEN bucket = {ZERO_BUCKET} THEN 0.0 "
        f"ELSE pow({LATENCY_BASE}, bucket + 0.5) END",
        "Middle of a bucket, ms.",
    ),
    Macro(
        "latency_quantile",
        "buckets, counts, q",
        # the buckets in order, each taking its count off what is left of q * total
        "bucket_ms(list_reduce(list_sort(list_transform(list_filter(list_zip(buckets, counts), "
        "lambda p: p[2] > 0), lambda p: {'bucket': p[1]::SMALLINT, 'rest': p[2]::DOUBLE})), "
        "lambda a, p: CASE WHEN a.bucket IS NULL OR a.rest > 0 "
        "THEN {'bucket': p.bucket, 'rest': a.rest - p.rest} ELSE a END, "
        "{'bucket': NULL::SMALLINT, "
        "'rest': q * list_sum(list_filter(counts, lambda n: n > 0))::DOUBLE}).bucket)",
        "Quantile (0 to 1) in ms from list(bucket) and list(requests) of a latency table; partial "
        "sums may repeat a bucket. NULL when nothing was measured.",
    ),
    Macro(
        "is_error",
        "status_code",
        "(status_code >= 500)",
        "Whether a request failed on the server side.",
    ),
    Macro(
        "apdex",
        "duration_ms, threshold_ms",
        "((count(*) FILTER (WHERE duration_ms <= threshold_ms) + 0.5 * count(*) FILTER (WHERE "
        "duration_ms > threshold_ms AND duration_ms <= 4 * threshold_ms)) "
        "/ nullif(count(duration_ms), 0))",
        "Apdex of a group of requests, 0 to 1; NULL when no time was measured.",
    ),
    Macro(
        "icontains",
        "text, part",
        "regexp_matches(text, '(?i)' || regexp_escape(part))",
        "Whether a text holds a part, letters in any case; every text holds ''. The quick way to "
        "search log bodies.",
    ),
)


def create_macros(con: duckdb.DuckDBPyConnection) -> None:
    for macro in MACROS:
        con.execute(macro.sql)
