-- How many tickets each of the largest groups has in each hour that has any.
WITH counted AS (
    SELECT
        {label} AS label,
        floor((epoch({event}) - {origin}) / 3600)::BIGINT AS hour,
        count(*)::BIGINT AS tickets
    FROM ticket
    WHERE {event} IS NOT NULL AND {where}
    GROUP BY ALL
),
largest AS (SELECT label FROM counted GROUP BY label ORDER BY sum(tickets) DESC, label LIMIT {most})
SELECT label, hour, tickets
FROM counted
SEMI JOIN largest USING (label)
