-- Quantiles out of the bins of daily rollups: the bin in which the rank lies, and how far into it.
WITH binned AS (
    SELECT {keys}, cube::VARCHAR AS cube, bin, sum(tickets)::BIGINT AS held
    FROM rollup_bins
    WHERE {where}
    GROUP BY ALL
),
counted AS (
    SELECT *, sum(held) OVER (PARTITION BY {names}, cube ORDER BY bin) AS upto, sum(held) OVER (PARTITION BY {names}, cube) AS n
    FROM binned
),
wanted AS (
    SELECT *, greatest(0.5, least(n - 0.5, quantile * (n - 1) + 0.5 + side * 1.96 * sqrt(n * quantile * (1 - quantile)))) AS rank
    FROM counted
    JOIN (SELECT unnest($metrics) AS metric, unnest($cubes) AS cube, unnest($quantiles) AS quantile) USING (cube)
    CROSS JOIN (SELECT unnest([-1, 0, 1]) AS side)
)
SELECT
    {names},
    metric,
    side,
    n::BIGINT AS n,
    pow(2.0, (bin + (rank - (upto - held)) / held) / {per_octave}) * 1000000.0 AS microseconds
FROM wanted
WHERE rank > upto - held AND rank <= upto
