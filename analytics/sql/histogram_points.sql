-- histogram_points: the histograms of a metric, cumulative ones with the point before them.
-- Parameters: $start, $end (TIMESTAMPTZ, half-open), $name, $lead (INTERVAL: how far before the range
--   the last point of a series is looked for), $service (NULL = any).
-- Output: series; time; start_time; cumulative; count; min; max; bounds, bucket_counts (explicit);
--   scale, zero_count, positive_offset, positive_counts, negative_offset, negative_counts
--   (exponential). Points before $start are there for the difference alone.
-- Grain: series x point. Inputs: metrics. Cost: one pass over the points of the name.
SELECT
    series,
    time,
    start_time,
    temporality = 'CUMULATIVE' AS cumulative,
    count,
    min,
    max,
    bounds,
    bucket_counts,
    scale,
    zero_count,
    positive_offset,
    positive_counts,
    negative_offset,
    negative_counts
FROM metrics
WHERE
    name = $name
    AND type IN ('histogram', 'exponential_histogram')
    AND time >= $start - $lead AND time < $end
    AND ($service IS NULL OR service_name = $service)
    AND COALESCE(flags & 1, 0) = 0
QUALIFY row_number() OVER (PARTITION BY series, time ORDER BY count DESC) = 1
ORDER BY series, time
