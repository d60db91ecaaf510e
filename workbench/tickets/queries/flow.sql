-- From the tickets: how many came and went each day. All count for the first day, less those who came later, who count for
-- their own: so the moments of creation are read of the later ones only.
SELECT {groups}, $since::DATE AS day, {counted} GROUP BY ALL
UNION ALL
SELECT {names}, CASE sign WHEN 1 THEN came ELSE $since::DATE END AS day, sign * tickets AS tickets, sign * born AS born
FROM (SELECT {groups}, created_at::DATE AS came, {counted} AND created_at >= $since::TIMESTAMP GROUP BY ALL)
CROSS JOIN (VALUES (1), (-1)) AS signs(sign)
WHERE sign = -1 OR came <= $until::DATE
UNION ALL
SELECT {names}, day, -tickets AS tickets, -born AS born
FROM (
    SELECT {groups}, greatest(resolved_at::DATE, $since::DATE) AS day, {counted}
        AND resolved_at < $until::TIMESTAMP + INTERVAL 1 DAY
    GROUP BY ALL
)
