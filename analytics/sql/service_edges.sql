-- service_edges: all calls between services of a range, as the spans tell them now.
-- Parameters: $start, $end (TIMESTAMPTZ, half-open; of the called span), $step (seconds).
-- Output: time (start of the step), tenant, source, target, bucket, calls, errors.
-- Grain: step x tenant x source x target x bucket. Inputs: spans.
-- Cost: one hash join of the range's spans with themselves. A caller is found when it began at most
--   an hour before the called, or a minute after it (clocks differ). Twins: hourly.py.
WITH child AS (
    SELECT
        time,
        tenant,
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
    SELECT
        tenant,
        trace_id,
        span_id,
        service_name,
        min(time) AS time
    FROM spans
    WHERE time >= $start - INTERVAL '1 hour' AND time < $end + INTERVAL '1 minute'
    GROUP BY ALL
)
SELECT
    time_bucket(to_seconds($step), child.time) AS time,
    child.tenant,
    parent.service_name AS source,
    child.service_name AS target,
    latency_bucket(child.ms) AS bucket,
    count(*) AS calls,
    count(*) FILTER (WHERE child.failed) AS errors
FROM child
INNER JOIN parent
    ON parent.tenant = child.tenant
    AND parent.trace_id = child.trace_id
    AND parent.span_id = child.parent_span_id
WHERE
    parent.service_name <> child.service_name
    AND parent.time >= child.time - INTERVAL '1 hour'
    AND parent.time < child.time + INTERVAL '1 minute'
GROUP BY ALL
