-- The tickets of one group in one window, the newest first.
SELECT ticket_id, {event} AS at, subject, body, run_id
FROM ticket
WHERE {event} >= $since::TIMESTAMP AND {event} < $until::TIMESTAMP AND {label} = $label AND {where}
ORDER BY {event} DESC, ticket_id
LIMIT $most
