-- trace_spans: every span of one trace, in order of start.
-- Parameters: $trace_id (32 lower-case hex digits).
-- Output: the columns of `spans`. Grain: span.
-- Inputs: spans. Cost: bloom filters on trace_id skip what cannot hold it; give a range to help.
SELECT *
FROM spans
WHERE trace_id = $trace_id
ORDER BY start_time_unix_nano, span_id
