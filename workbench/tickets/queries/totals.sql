-- One value for each group of the whole period, the largest group first.
SELECT {labels}, {metric} AS value, count(*)::BIGINT AS tickets
FROM ticket
WHERE {where}
GROUP BY ALL
ORDER BY tickets DESC, {names}
