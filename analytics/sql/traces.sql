-- traces: the spans of a batch, summed up per trace.
-- Parameters: none; the runner shows only the files of `spans` that are new.
-- Output: one partial row per trace: time, tenant, trace_id, start_time_unix_nano,
--   end_time_unix_nano (ns), rooted, root_* (the span without a parent; the earliest when none
--   came), environment, spans, errors, services. Twin: trace_list.sql adds partial rows up.
-- Grain: batch x trace. Inputs: spans. Cost: one hash aggregate over the new rows.
-- A span with a clock that says it ended before it began counts as taking no time.
SELECT
    min(time) AS time,
    tenant,
    trace_id,
    min(start_time_unix_nano) AS start_time_unix_nano,
    max(start_time_unix_nano + GREATEST(COALESCE(duration_ns, 0), 0)) AS end_time_unix_nano,
    bool_or(parent_span_id IS NULL) AS rooted,
    min(((parent_span_id IS NOT NULL), start_time_unix_nano))[2] AS root_start_time_unix_nano,
    min((parent_span_id IS NOT NULL, start_time_unix_nano, COALESCE(span_id, '')))[3]
        AS root_span_id,
    arg_min(
        {'v': service_name}, (parent_span_id IS NOT NULL, start_time_unix_nano, COALESCE(span_id, ''))
    ).v AS root_service,
    arg_min(
        {'v': name}, (parent_span_id IS NOT NULL, start_time_unix_nano, COALESCE(span_id, ''))
    ).v AS root_name,
    arg_min(
        {'v': environment}, (parent_span_id IS NOT NULL, start_time_unix_nano, COALESCE(span_id, ''))
    ).v AS environment,
    count(*) AS spans,
    count(*) FILTER (WHERE status = 'ERROR') AS errors,
    list_sort(list(DISTINCT service_name) FILTER (WHERE service_name IS NOT NULL)) AS services
FROM spans
WHERE trace_id IS NOT NULL
GROUP BY tenant, trace_id
