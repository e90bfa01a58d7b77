-- trace_list: one row per trace that began in a range, newest first.
-- Parameters: $start, $end (TIMESTAMPTZ, half-open), $limit, $service (NULL = any), $min_ms,
--   $errors_only, $before_time and $before_id (the last row of the page before; NULL = first page).
-- Output: trace_id; time (start of its first span); duration_ms (first start to last end);
--   root_service, root_name (the span without a parent; the earliest when none came); spans; errors
--   (spans with status ERROR); services.
-- Grain: trace. Inputs: traces, and the spans that are not in it yet.
-- Cost: one pass over the partial rows of the range and an hour on both sides.
WITH trace AS (
    SELECT
        trace_id,
        min(time) AS time,
        (max(end_time_unix_nano) - min(start_time_unix_nano)) / 1e6 AS duration_ms,
        arg_min(
            {'service': root_service, 'name': root_name},
            (NOT rooted, root_start_time_unix_nano, root_span_id)
        ) AS root,
        CAST(sum(spans) AS BIGINT) AS spans,
        CAST(sum(errors) AS BIGINT) AS errors,
        list_distinct(flatten(list(services))) AS services
    FROM partial
    GROUP BY trace_id
)
SELECT
    trace_id,
    time,
    duration_ms,
    root.service AS root_service,
    root.name AS root_name,
    spans,
    errors,
    CAST(len(services) AS BIGINT) AS services
FROM trace
WHERE
    time >= $start AND time < $end
    AND ($service IS NULL OR list_contains(services, $service))
    AND duration_ms >= $min_ms
    AND (NOT $errors_only OR errors > 0)
    AND (
        $before_time IS NULL
        OR time < $before_time
        OR (time = $before_time AND trace_id > $before_id)
    )
ORDER BY time DESC, trace_id
LIMIT $limit
