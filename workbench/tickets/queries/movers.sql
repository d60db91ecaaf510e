-- What changed most in number against the equally long period before.
WITH measured AS (
    SELECT
        {dimension} AS label,
        created_at >= $start::TIMESTAMP AS is_current,
        count(*)::BIGINT AS tickets,
        {first_response} AS first_response,
        {csat} AS csat
    FROM ticket
    WHERE {where}
    GROUP BY ALL
)
SELECT
    label,
    coalesce(now.tickets, 0) AS tickets,
    coalesce(before.tickets, 0) AS tickets_before,
    coalesce(now.tickets, 0) - coalesce(before.tickets, 0) AS difference,
    100.0 * (coalesce(now.tickets, 0) - before.tickets) / before.tickets AS change,
    now.first_response,
    before.first_response AS first_response_before,
    now.csat,
    before.csat AS csat_before
FROM (FROM measured WHERE is_current) AS now
FULL JOIN (FROM measured WHERE NOT is_current) AS before USING (label)
ORDER BY abs(difference) DESC, label
LIMIT $limit
