-- usage_minute: requests, errors, times and bytes per minute and full set of dimensions.
-- Parameters: none; the runner shows only the files of `requests` that are new.
-- Output: one partial row per group; add them up. Units: times ms, sizes By.
--   errors: failed on the server side, by `outcome`, else by status >= 500.
--   *_sum: over rows where the time is known and finite; NULL where none is.
--   duration_requests: rows behind duration_ms_sum, what a mean divides by.
-- Grain: minute x tenant x 13 dimensions (NULL is a value).
-- Inputs: requests. Cost: one pass and one hash aggregate over the new rows.
SELECT
    time_bucket(INTERVAL '1 minute', time) AS time,
    tenant,
    environment,
    gateway,
    api,
    api_version,
    route,
    method,
    product,
    plan,
    consumer,
    status_code,
    outcome,
    country,
    client_kind,
    count(*) AS requests,
    count(*) FILTER (WHERE COALESCE(outcome = 'server_error', status_code >= 500)) AS errors,
    sum(duration_ms) FILTER (WHERE isfinite(duration_ms)) AS duration_ms_sum,
    sum(upstream_ms) FILTER (WHERE isfinite(upstream_ms)) AS upstream_ms_sum,
    sum(gateway_ms) FILTER (WHERE isfinite(gateway_ms)) AS gateway_ms_sum,
    -- a sum of BIGINT can pass BIGINT; then NULL, so that an absurd row cannot stop the job for ever
    TRY_CAST(sum(request_bytes) AS BIGINT) AS request_bytes,
    TRY_CAST(sum(response_bytes) AS BIGINT) AS response_bytes,
    count(*) FILTER (WHERE isfinite(duration_ms)) AS duration_requests
FROM requests
GROUP BY ALL
