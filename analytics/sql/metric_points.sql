-- metric_points: what each series of a counter or gauge did, point by point.
-- Parameters: $start, $end (TIMESTAMPTZ, half-open), $names (LIST of metric names), $lead (INTERVAL:
--   how far before the range the last point of a series is looked for).
-- Output: name; series; service_name; service_instance_id; time; attributes (MAP); value: a gauge's
--   value; of a DELTA sum its value; of a CUMULATIVE monotonic sum its growth since the point before;
--   seconds: time the growth took (NULL for gauges); counter: whether the value is a growth.
-- Resets: a counter that fell, or whose start_time moved past the point before, began anew: its value
--   is then the growth. The first point of all has no growth unless its start_time is in the range.
-- Two points of one time (sent twice) count once. Points with flag 1 (no recorded value) are left out.
-- Grain: series x point. Inputs: metrics. Cost: one window over the points of these names.
WITH point AS (
    SELECT
        name,
        series,
        service_name,
        service_instance_id,
        time,
        start_time,
        attributes,
        value,
        temporality = 'CUMULATIVE' AND monotonic IS TRUE AS cumulative,
        type = 'sum' AND monotonic IS TRUE AS counter
    FROM metrics
    WHERE
        list_contains($names, name)
        AND time >= $start - $lead AND time < $end
        AND isfinite(value)
        AND COALESCE(flags & 1, 0) = 0
    QUALIFY row_number() OVER (PARTITION BY series, name, time ORDER BY value DESC) = 1
),
step AS (
    SELECT
        *,
        lag(value) OVER of_series AS value_before,
        lag(time) OVER of_series AS time_before
    FROM point
    WINDOW of_series AS (PARTITION BY series, name ORDER BY time)
)
SELECT
    name,
    series,
    service_name,
    service_instance_id,
    time,
    attributes,
    CASE
        WHEN NOT COALESCE(cumulative, FALSE) THEN value
        WHEN value_before IS NULL THEN CASE WHEN start_time >= $start THEN value END
        WHEN value < value_before OR COALESCE(start_time > time_before, FALSE) THEN value
        ELSE value - value_before
    END AS value,
    CASE
        WHEN COALESCE(cumulative, FALSE) AND value_before IS NOT NULL
            AND NOT COALESCE(start_time > time_before, FALSE)
            THEN epoch(time - time_before)
        WHEN counter THEN epoch(time - start_time)
    END AS seconds,
    counter
FROM step
WHERE time >= $start
ORDER BY name, series, time
