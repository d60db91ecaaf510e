-- Which of the given runs answered tickets of which group.
SELECT DISTINCT {label} AS label, run_id
FROM ticket
WHERE {where} AND list_contains($runs::VARCHAR[], run_id)
