-- One value for each period and each of the largest groups; a period without tickets is there too.
WITH picked AS (
    SELECT {columns}, date_trunc('{grain}', created_at)::DATE AS period
    FROM ticket
    WHERE {where}
),
largest AS (
    {largest}
),
measured AS (
    SELECT period, {names}, {metric} AS value, count(*) AS tickets
    FROM picked
    GROUP BY ALL
),
periods AS (
    SELECT unnest(generate_series(
        date_trunc('{grain}', $first::DATE)::DATE, $last::DATE, INTERVAL 1 {grain}
    ))::DATE AS period
)
SELECT
    period::TIMESTAMP AS period,
    {names},
    {value} AS value,
    coalesce(tickets, 0)::BIGINT AS tickets,
    period >= $first::DATE AND period + INTERVAL 1 {grain} <= $last::DATE + INTERVAL 1 DAY AS complete
FROM periods
CROSS JOIN largest
LEFT JOIN measured USING (period, {names})
ORDER BY place, {names}, period
