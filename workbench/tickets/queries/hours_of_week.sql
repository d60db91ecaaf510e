-- How many tickets were created in each hour, in UTC.
SELECT date_trunc('hour', created_at)::TIMESTAMP AS hour, count(*)::BIGINT AS tickets
FROM {source}
WHERE {where}
GROUP BY ALL
