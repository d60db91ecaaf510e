-- A metric over windows that overlap, each named by the hour at which it ends: a ticket is in all windows that hold it.
WITH picked AS NOT MATERIALIZED (
    SELECT *, {label} AS window_label, floor((epoch({event}) - {origin}) / 3600)::BIGINT AS window_hour
    FROM ticket
    WHERE {event} IS NOT NULL AND {where}
),
largest AS (SELECT window_label FROM picked GROUP BY window_label ORDER BY count(*) DESC, window_label LIMIT {most}),
spread AS (
    SELECT *, unnest(generate_series(window_hour // {slide} + 1, (window_hour + {window}) // {slide})) AS window_place
    FROM picked
    SEMI JOIN largest USING (window_label)
)
SELECT
    window_label AS label,
    (window_place * {slide})::BIGINT AS hour,
    ({metric})::DOUBLE AS value,
    count(*)::BIGINT AS tickets
FROM spread
GROUP BY ALL
