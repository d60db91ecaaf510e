-- The newest tickets first.
SELECT
    ticket_id,
    created_at,
    (epoch_us(first_response_at) - epoch_us(created_at)) / 60000000.0 AS first_response,
    (epoch_us(resolved_at) - epoch_us(created_at)) / 3600000000.0 AS resolution,
    csat,
    reopened,
    topic,
    subtopic,
    found_topic,
    found_subtopic,
    channel,
    vendor,
    product,
    team,
    priority,
    status,
    language,
    sentiment,
    customer_tier,
    subject,
    body,
    run_id
FROM {source}
WHERE {where}
ORDER BY created_at DESC, ticket_id
LIMIT $limit
