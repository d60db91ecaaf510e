-- Sums by group and kind of ticket, from which means and their intervals are made without reading the tickets again.
SELECT
    {label} AS label,
    {stratum} AS stratum,
    count(*)::BIGINT AS tickets,
    {sums}
FROM ticket
WHERE {where}
GROUP BY ALL
