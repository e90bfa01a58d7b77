-- latency_hour: the minute rollup of latency buckets, added up per hour (UTC).
-- Parameters: none; the runner shows only the files of `latency_minute` that are new.
-- Output: as latency_minute; one partial row per group and bucket, add them up.
-- Grain: hour x tenant x 7 dimensions x part x bucket.
-- Inputs: latency_minute. Cost: one pass and one hash aggregate over the new rows.
SELECT
    time_bucket(INTERVAL '1 hour', time) AS time,
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
FROM latency_minute
GROUP BY ALL
ORDER BY part
