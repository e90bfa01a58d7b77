-- attribute_keys: which attributes spans carry.
-- Parameters: none; the runner shows only the files of `spans` that are new.
-- Output: time (hour), tenant, source, place, service_name, key, records; partial, add them up.
-- Grain: hour x tenant x place x service x key. Inputs: spans.
-- Cost: the keys of all attributes of the new rows, unnested. Values of one key are asked from raw
--   spans (attribute_values.sql): they may be ids, of which there is no end.
WITH carried AS (
    SELECT time, tenant, service_name, 'attributes' AS place, unnest(map_keys(attributes)) AS key
    FROM spans
    UNION ALL
    SELECT
        time,
        tenant,
        service_name,
        'resource_attributes' AS place,
        unnest(map_keys(resource_attributes)) AS key
    FROM spans
)
SELECT
    time_bucket(INTERVAL '1 hour', time) AS time,
    tenant,
    'spans' AS source,
    place,
    service_name,
    key,
    count(*) AS records
FROM carried
GROUP BY ALL
