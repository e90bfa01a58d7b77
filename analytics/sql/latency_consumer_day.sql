-- latency_consumer_day: the hour rollup of latency per consumer, added up per day (UTC).
-- Parameters: none; the runner shows only the files of `latency_consumer_hour` that are new.
-- Output: as latency_consumer_hour; one partial row per group and bucket, add them up.
-- Grain: day x tenant x 4 dimensions x bucket.
-- Inputs: latency_consumer_hour. Cost: one pass and one hash aggregate over the new rows.
SELECT
    time_bucket(INTERVAL '24 hours', time) AS time,
    tenant,
    environment,
    gateway,
    api,
    consumer,
    bucket,
    CAST(sum(requests) AS BIGINT) AS requests
FROM latency_consumer_hour
GROUP BY ALL
