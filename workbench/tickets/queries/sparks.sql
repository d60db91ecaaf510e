-- Every metric of a tile over time, without gaps.
WITH measured AS (
    SELECT date_trunc('{grain}', created_at)::DATE AS period, {metrics}
    FROM ticket
    WHERE {where}
    GROUP BY ALL
),
periods AS (
    SELECT unnest(generate_series(
        date_trunc('{grain}', $first::DATE)::DATE, $last::DATE, INTERVAL 1 {grain}
    ))::DATE AS period
)
SELECT
    measured.* EXCLUDE (period),
    period >= $first::DATE AND period + INTERVAL 1 {grain} <= $last::DATE + INTERVAL 1 DAY AS complete
FROM periods
LEFT JOIN measured USING (period)
ORDER BY period
