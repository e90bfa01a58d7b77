-- service_edges: who calls whom, from parent and child spans of different services.
-- Parameters: $start, $end (TIMESTAMPTZ, half-open; of the child).
-- Output: source, target (service names); calls; errors (child status ERROR, or 5xx);
--   p50_ms, p95_ms of the child's time, within 1 %.
-- Grain: source x target. Inputs: spans.
-- Cost: one hash join of the range's spans with themselves. A parent that started up to an hour
--   before the range is still found.
WITH child AS (
    SELECT
        trace_id,
        parent_span_id,
        service_name,
        GREATEST(COALESCE(duration_ns, 0), 0) / 1e6 AS ms,
        COALESCE(status = 'ERROR', FALSE) OR COALESCE(http_response_status_code >= 500, FALSE)
            AS failed
    FROM spans
    WHERE time >= $start AND time < $end AND parent_span_id IS NOT NULL
),
-- a span that was stored twice must not double its calls
parent AS (
    SELECT DISTINCT
        trace_id,
        span_id,
        service_name
    FROM spans
    WHERE time >= $start - INTERVAL '1 hour' AND time < $end
),
call AS (
    SELECT
        parent.service_name AS source,
        child.service_name AS target,
        child.failed,
        latency_bucket(child.ms) AS bucket
    FROM child
    INNER JOIN parent
        ON parent.trace_id = child.trace_id AND parent.span_id = child.parent_span_id
    WHERE parent.service_name <> child.service_name
)
SELECT
    source,
    target,
    count(*) AS calls,
    count(*) FILTER (WHERE failed) AS errors,
    bucket_ms(CAST(quantile_disc(bucket, 0.5) AS SMALLINT)) AS p50_ms,
    bucket_ms(CAST(quantile_disc(bucket, 0.95) AS SMALLINT)) AS p95_ms
FROM call
GROUP BY source, target
ORDER BY calls DESC, source, target
