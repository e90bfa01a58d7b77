-- Calls of gateways that have rows of different sources: the same request id, or trace and span id.
--
-- Parameters: $start, $end (timestamps, half-open)
-- Output: tenant, gateway, sources (list, sorted), calls
-- Grain: one row per tenant, gateway and set of sources
-- Cost: every id of the range is grouped, so keep the range short: an hour on a screen
WITH mixed AS (
    -- only here can a call have two: usually nothing is left, and no id is read
    SELECT tenant, gateway
    FROM requests
    WHERE time >= $start
      AND time < $end
      AND gateway <> 'service'
    GROUP BY ALL
    HAVING min(source) <> max(source)
),
calls AS (
    SELECT
        tenant,
        gateway,
        id,
        list_sort(list(DISTINCT source)) AS sources
    FROM (
        SELECT
            tenant,
            gateway,
            source,
            unnest([request_id, trace_id || '/' || span_id]) AS id
        FROM requests
        SEMI JOIN mixed USING (tenant, gateway)
        WHERE time >= $start
          AND time < $end
    )
    WHERE id IS NOT NULL
    GROUP BY ALL
    HAVING min(source) <> max(source)
)
SELECT
    tenant,
    gateway,
    sources,
    count(*) AS calls
FROM calls
GROUP BY ALL
ORDER BY ALL
