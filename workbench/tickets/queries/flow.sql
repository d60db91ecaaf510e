-- From the tickets: how many came and went each day. The first day begins with what is open now, less what came later, and
-- with what went later: so the moments of the many tickets from before that are long resolved are not read.
WITH came AS (
    SELECT {groups}, created_at::DATE AS day, 1 AS sign, {counted} AND created_at >= $since::TIMESTAMP GROUP BY ALL
),
went AS (
    SELECT {groups}, resolved_at::DATE AS day, -1 AS sign, {counted} AND resolved_at >= $since::TIMESTAMP GROUP BY ALL
),
later AS (FROM came UNION ALL FROM went)
SELECT {groups}, $since::DATE AS day, {counted} AND resolved_at IS NULL GROUP BY ALL
UNION ALL
SELECT {names}, $since::DATE AS day, -sign * tickets AS tickets, -sign * born AS born FROM later
UNION ALL
SELECT {names}, day, sign * tickets AS tickets, sign * born AS born FROM later WHERE day <= $until::DATE
