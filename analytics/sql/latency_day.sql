-- latency_day: the hour rollup of latency buckets, added up per day (UTC).
-- Parameters: none; the runner shows only the files of `latency_hour` that are new.
-- Output: as latency_hour; one partial row per group and bucket, add them up.
-- Grain: day x tenant x 7 dimensions x part x bucket.
-- Inputs: latency_hour. Cost: one pass and one hash aggregate over the new rows.
SELECT
    time_bucket(INTERVAL '24 hours', time) AS time,
    tenant,
    environment,
    gateway,
    api,
    api_version,
    route,
    method,
    outcome,
    part,
    bucket,
    CAST(sum(requests) AS BIGINT) AS requests
FROM latency_hour
GROUP BY ALL
ORDER BY part
