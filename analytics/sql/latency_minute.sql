-- latency_minute: requests per logarithmic latency bucket, per minute.
-- Parameters: none; the runner shows only the files of `requests` that are new.
-- Output: one partial row per group and bucket; add them up.
--   part: total (duration_ms), upstream (upstream_ms), gateway (gateway_ms).
--   bucket: floor(ln(ms) / ln(1.02)), so that its geometric middle is within 1 % of every time in it;
--     -32768 = zero or less. Unknown and infinite times are in no bucket. Twin: buckets.py.
-- Grain: minute x tenant x 7 dimensions x part x bucket.
-- Inputs: requests. Cost: three passes (one per part) and one hash aggregate over the new rows.
WITH timed AS (
    SELECT
        time,
        tenant,
        environment,
        gateway,
        api,
        api_version,
        route,
        method,
        outcome,
        'total' AS part,
        duration_ms AS ms
    FROM requests
    WHERE isfinite(duration_ms)
    UNION ALL
    SELECT
        time,
        tenant,
        environment,
        gateway,
        api,
        api_version,
        route,
        method,
        outcome,
        'upstream' AS part,
        upstream_ms AS ms
    FROM requests
    WHERE isfinite(upstream_ms)
    UNION ALL
    SELECT
        time,
        tenant,
        environment,
        gateway,
        api,
        api_version,
        route,
        method,
        outcome,
        'gateway' AS part,
        gateway_ms AS ms
    FROM requests
    WHERE isfinite(gateway_ms)
)
SELECT
    time_bucket(INTERVAL '1 minute', time) AS time,
    tenant,
    environment,
    gateway,
    api,
    api_version,
    route,
    method,
    outcome,
    part,
    CAST(
        CASE
            WHEN ms > 0 THEN GREATEST(-32767, LEAST(32767, floor(ln(ms) / ln(1.02))))
            ELSE -32768
        END AS SMALLINT
    ) AS bucket,
    count(*) AS requests
FROM timed
GROUP BY ALL
ORDER BY part
