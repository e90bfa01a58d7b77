-- latency_consumer_hour: requests per logarithmic bucket of their whole time, per consumer and hour.
-- Parameters: none; the runner shows only the files of `requests` that are new.
-- Output: one partial row per group and bucket; add them up. Buckets: see latency_minute.sql.
-- Grain: hour x tenant x 4 dimensions x bucket.
-- Inputs: requests. Cost: one pass and one hash aggregate over the new rows.
SELECT
    time_bucket(INTERVAL '1 hour', time) AS time,
    tenant,
    environment,
    gateway,
    api,
    consumer,
    latency_bucket(duration_ms) AS bucket,
    count(*) AS requests
FROM requests
WHERE isfinite(duration_ms)
GROUP BY ALL
