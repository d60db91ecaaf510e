-- Sums, and what is made of them, for each group and period: over tickets, or over daily rollups.
SELECT {keys}, {count} AS tickets, {values}
FROM {source}
WHERE {where}
GROUP BY {groups}
