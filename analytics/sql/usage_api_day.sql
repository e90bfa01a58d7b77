-- usage_api_day: usage_day, added up without product, plan, consumer and country.
-- Parameters: none; the runner shows only the files of `usage_day` that are new.
-- Output: as usage_day; one partial row per group, add them up.
-- Grain: day x tenant x 9 dimensions (NULL is a value).
-- Inputs: usage_day. Cost: one pass and one hash aggregate over the new rows.
SELECT
    time,
    tenant,
    environment,
    gateway,
    api,
    api_version,
    route,
    method,
    status_code,
    outcome,
    client_kind,
    CAST(sum(requests) AS BIGINT) AS requests,
    CAST(sum(errors) AS BIGINT) AS errors,
    sum(duration_ms_sum) AS duration_ms_sum,
    sum(upstream_ms_sum) AS upstream_ms_sum,
    sum(gateway_ms_sum) AS gateway_ms_sum,
    TRY_CAST(sum(request_bytes) AS BIGINT) AS request_bytes,
    TRY_CAST(sum(response_bytes) AS BIGINT) AS response_bytes,
    CAST(sum(duration_requests) AS BIGINT) AS duration_requests
FROM usage_day
GROUP BY ALL
