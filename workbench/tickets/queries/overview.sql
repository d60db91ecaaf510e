-- Every metric of a tile, for the period and for the equally long one before it.
SELECT created_at >= $start::TIMESTAMP AS is_current, {metrics}
FROM ticket
WHERE {where}
GROUP BY ALL
