-- Versions of services that were running in a range, by what their spans say.
--
-- Parameters: $start, $end (timestamps, half-open), $services (list of names; NULL = every service)
-- Output: service, version (never NULL), first_seen, last_seen, spans, errors (status ERROR)
-- Grain: one row per service and version, oldest first
-- Cost: four narrow columns of the spans of the range
SELECT
    service_name AS service,
    service_version AS version,
    min(time) AS first_seen,
    max(time) AS last_seen,
    count(*) AS spans,
    count(*) FILTER (WHERE status = 'ERROR') AS errors
FROM spans
WHERE time >= $start
  AND time < $end
  AND service_version IS NOT NULL
  AND ($services IS NULL OR list_contains($services, service_name))
GROUP BY service_name, service_version
ORDER BY first_seen, service, version
