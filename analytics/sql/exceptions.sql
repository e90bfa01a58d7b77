-- exceptions: span events named `exception`, grouped by service, type and message without numbers.
-- Parameters: $start, $end (TIMESTAMPTZ, half-open; of the span); $environment (NULL = all).
-- Output: partial rows per hour (stored_hour, counted from 1970): service_name; type; message (digits, hex and quoted text replaced by #); occurrences;
--   first_seen, last_seen (times of the spans); example_trace_id.
-- Grain: service x type x normalised message.
-- Inputs: spans. Cost: one pass over the events of the range.
WITH thrown AS (
    SELECT
        epoch_us(time) // 3600000000 AS stored_hour,
        service_name,
        time,
        trace_id,
        unnest(events) AS event
    FROM spans
    WHERE
        time >= $start
        AND time < $end
        AND len(events) > 0
        AND ($environment IS NULL OR environment = $environment)
)
SELECT
    stored_hour,
    service_name,
    event.attributes['exception.type'] AS type,
    left(
        regexp_replace(
            event.attributes['exception.message'],
            '''[^'']*''|"[^"]*"|0x[0-9a-fA-F]+|[0-9a-fA-F]{8,}|[0-9]+',
            '#',
            'g'
        ),
        500
    ) AS message,
    count(*) AS occurrences,
    min(time) AS first_seen,
    max(time) AS last_seen,
    arg_max(trace_id, time) AS example_trace_id
FROM thrown
WHERE event.name = 'exception'
GROUP BY ALL
