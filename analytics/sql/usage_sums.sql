-- usage_sums: a rollup of usage, added up to a longer step or to fewer dimensions.
-- Parameters, filled in by jobs.py: source (the rollup it is made from; of it only what is new is
--   shown), time (the source's, on the step of the target), dimensions (of the target).
-- Output: measures as in the source; one partial row per group, add them up.
-- Grain: step of the target x tenant x its dimensions (NULL is a value).
-- Inputs: source. Cost: one pass and one hash aggregate over the new rows.
SELECT
    {time} AS time,
    tenant,
    {dimensions},
    CAST(sum(requests) AS BIGINT) AS requests,
    CAST(sum(errors) AS BIGINT) AS errors,
    sum(duration_ms_sum) AS duration_ms_sum,
    sum(upstream_ms_sum) AS upstream_ms_sum,
    sum(gateway_ms_sum) AS gateway_ms_sum,
    TRY_CAST(sum(request_bytes) AS BIGINT) AS request_bytes,
    TRY_CAST(sum(response_bytes) AS BIGINT) AS response_bytes,
    CAST(sum(duration_requests) AS BIGINT) AS duration_requests
FROM {source}
GROUP BY ALL
