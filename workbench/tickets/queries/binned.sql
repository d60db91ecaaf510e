-- How many tickets of each group lie in each bin of a duration, in the order of the groups and of the bins.
SELECT {keys}, bin, sum(tickets)::BIGINT AS held
FROM {source}
WHERE {where}
GROUP BY {groups}
ORDER BY ALL
