-- latency_sums: a rollup of latency buckets, added up to a longer step.
-- Parameters, filled in by jobs.py: source (the rollup it is made from; of it only what is new is
--   shown), time (the source's, on the step of the target), dimensions (of the target, the bucket
--   among them), order (the column it is mostly narrowed by).
-- Output: requests per group and bucket; partial rows, add them up.
-- Grain: step of the target x tenant x its dimensions.
-- Inputs: source. Cost: one pass and one hash aggregate over the new rows.
SELECT
    {time} AS time,
    tenant,
    {dimensions},
    CAST(sum(requests) AS BIGINT) AS requests
FROM {source}
GROUP BY ALL
ORDER BY {order}
