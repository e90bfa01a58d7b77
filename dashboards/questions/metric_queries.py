"""What the metrics screen asks of the table `metrics`; each with the range and environment."""

from __future__ import annotations

METRICS_SHOWN = 200
"""Metrics in the list, the first by name; the search narrows it."""

SENT = f"""
WITH one AS (
    SELECT
        name,
        service_name,
        series,
        any_value(type) AS type,
        any_value(unit) AS unit,
        any_value(description) AS description,
        count(*) AS points,
        max(time) AS last_seen
    FROM metrics
    WHERE time >= $start
      AND time < $end
      AND ($q IS NULL OR icontains(name, $q))
      AND ($environment IS NULL OR environment = $environment)
    GROUP BY name, service_name, series
),
told AS (
    SELECT
        grouping(name) AS all_names,
        grouping(service_name) AS all_services,
        name,
        service_name,
        any_value(type) AS type,
        any_value(unit) AS unit,
        any_value(description) AS description,
        CAST(sum(points) AS BIGINT) AS points,
        count(DISTINCT series) AS series,
        count(DISTINCT service_name) AS services,
        count(DISTINCT name) AS names,
        max(last_seen) AS last_seen
    FROM one
    GROUP BY GROUPING SETS ((name), (service_name), ())
)
SELECT *
FROM told
QUALIFY
    all_names = 1
    OR name = $name
    OR row_number() OVER (PARTITION BY all_names ORDER BY name) <= {METRICS_SHOWN}
ORDER BY name, service_name
"""  # noqa: S608 - constants of ours
"""A row per metric, one per service, and one of all."""

OVER_TIME = """
WITH per_series AS (
    SELECT
        time_bucket(to_seconds($step), time) AS time,
        CASE
            WHEN $by = 'service' THEN service_name
            ELSE coalesce(attributes[$by], resource_attributes[$by])
        END AS part,
        series,
        any_value(type) AS type,
        any_value(temporality) AS temporality,
        avg(value) AS mean_value,
        sum(value) AS sum_value,
        max(value) - min(value) AS grown,
        CASE WHEN any_value(temporality) = 'CUMULATIVE' THEN max(sum) - min(sum) ELSE sum(sum) END
            AS total,
        CASE
            WHEN any_value(temporality) = 'CUMULATIVE' THEN max(count) - min(count)
            ELSE sum(count)
        END AS observations
    FROM metrics
    WHERE time >= $start
      AND time < $end
      AND name = $name
      AND ($environment IS NULL OR environment = $environment)
    GROUP BY ALL
)
SELECT
    time,
    coalesce(part, '(none)') AS part,
    CASE
        WHEN any_value(type) = 'gauge' THEN avg(mean_value)
        WHEN any_value(type) = 'sum' AND any_value(temporality) = 'DELTA'
            THEN sum(sum_value) / $step
        WHEN any_value(type) = 'sum' THEN sum(grown) / $step
        ELSE sum(total) / nullif(sum(observations), 0)
    END AS value,
    sum(1) AS requests
FROM per_series
GROUP BY ALL
"""

KEYS = """
SELECT DISTINCT unnest(
    coalesce(map_keys(attributes), []) || coalesce(map_keys(resource_attributes), [])
) AS key
FROM metrics
WHERE time >= $start
  AND time < $end
  AND name = $name
  AND ($environment IS NULL OR environment = $environment)
ORDER BY key
LIMIT 60
"""

POINTS = """
SELECT
    epoch_us(time) // 3600000000 AS stored_hour,
    time_bucket(to_seconds($step), time) AS time,
    count(*) AS requests
FROM metrics
WHERE time >= $start
  AND time < $end
  AND ($q IS NULL OR icontains(name, $q))
  AND ($environment IS NULL OR environment = $environment)
GROUP BY ALL
"""
"""Points that came in over time; `requests`, as everywhere, is how many."""
