-- What is open at the end of each period: all that was created until then less all that was resolved until then.
WITH flow AS (
    {flow}
),
moved AS (
    SELECT {names}, greatest(date_trunc('{grain}', day)::DATE, date_trunc('{grain}', $since::DATE)::DATE) AS period,
        sum(tickets)::BIGINT AS tickets, sum(born)::BIGINT AS born
    FROM flow
    GROUP BY ALL
),
periods AS (
    SELECT unnest(generate_series(
        date_trunc('{grain}', $since::DATE)::DATE, $until::DATE, INTERVAL 1 {grain}
    ))::DATE AS period
),
standing AS (
    SELECT {names}, period,
        sum(coalesce(tickets, 0)) OVER upto::BIGINT AS open_tickets,
        sum(coalesce(born, 0)) OVER upto::BIGINT AS open_born,
        epoch_us(least(period + INTERVAL 1 {grain}, $until::DATE + INTERVAL 1 DAY)) // 1000000 AS end_seconds
    FROM (SELECT DISTINCT {names} FROM moved)
    CROSS JOIN periods
    LEFT JOIN moved USING (period, {names})
    WINDOW upto AS (PARTITION BY {names} ORDER BY period)
)
SELECT {names}, period, open_tickets AS tickets, {values}
FROM standing
