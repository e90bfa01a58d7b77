-- attribute_values: the commonest values of one attribute of spans.
-- Parameters: $start, $end (TIMESTAMPTZ, half-open), $key, $service (NULL = any), $limit.
-- Output: value (cut to 200 characters; NULL = spans without it), spans, errors.
-- Grain: value. Inputs: spans. Cost: reads the attributes of the range's spans.
SELECT
    left(COALESCE(attributes[$key], resource_attributes[$key]), 200) AS value,
    count(*) AS spans,
    count(*) FILTER (WHERE status = 'ERROR') AS errors
FROM spans
WHERE time >= $start AND time < $end AND ($service IS NULL OR service_name = $service)
GROUP BY ALL
ORDER BY spans DESC, value
LIMIT $limit
