-- How many tickets each of the largest groups has in each hour that has any.
WITH picked AS (
    SELECT {label} AS label, floor((epoch({event}) - {origin}) / 3600)::BIGINT AS hour
    FROM ticket
    WHERE {event} IS NOT NULL AND {where}
),
largest AS (SELECT label FROM picked GROUP BY label ORDER BY count(*) DESC, label LIMIT {most})
SELECT label, hour, count(*)::BIGINT AS tickets
FROM picked
SEMI JOIN largest USING (label)
GROUP BY ALL
