-- trace_list: one row per trace that began in a range, newest first.
-- Parameters: $start, $end (TIMESTAMPTZ, half-open), $limit.
-- Output: trace_id; time (start of its first span); duration_ms (first start to last end);
--   root_service, root_name (the span without a parent; the earliest when none came); spans; errors
--   (spans with status ERROR); services.
-- Grain: trace. Inputs: spans. Cost: one pass over the spans of the range.
-- A span with a clock that says it ended before it began counts as taking no time.
SELECT
    trace_id,
    min(time) AS time,
    (max(start_time_unix_nano + GREATEST(COALESCE(duration_ns, 0), 0)) - min(start_time_unix_nano))
        / 1e6 AS duration_ms,
    arg_min(service_name, (parent_span_id IS NOT NULL, start_time_unix_nano)) AS root_service,
    arg_min(name, (parent_span_id IS NOT NULL, start_time_unix_nano)) AS root_name,
    count(*) AS spans,
    count(*) FILTER (WHERE status = 'ERROR') AS errors,
    count(DISTINCT service_name) AS services
FROM spans
WHERE time >= $start AND time < $end AND trace_id IS NOT NULL
GROUP BY trace_id
ORDER BY time DESC, trace_id
LIMIT $limit
