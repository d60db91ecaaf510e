-- Tickets of one kind together: how many, the minutes of work and the customer where the file tells them, and what
-- became of the runs that answered some of them. A ticket that was opened again counts as not solved. Minutes that cannot
-- be (negative, not a number, more than a week) are as if the file told none.
WITH given AS (
    SELECT {keys}, run_id, reopened,
           TRY_CAST(coalesce(attributes->>'$.handling_minutes', attributes->>'$.handle_minutes') AS DOUBLE) AS minutes,
           coalesce(attributes->>'$.customer_id', attributes->>'$.requester_id') AS customer
    FROM ticket WHERE {where}
),
chosen AS (
    SELECT * REPLACE (CASE WHEN isfinite(minutes) AND minutes BETWEEN 0 AND 10080 THEN minutes END AS minutes) FROM given
),
counted AS (
    SELECT *, CASE WHEN customer IS NOT NULL THEN count(*) OVER (PARTITION BY {names}, customer) END AS times FROM chosen
)
SELECT {names}, count(*) AS tickets, count(minutes) AS timed, avg(minutes) AS minutes,
       count(outcome) AS tried, count(*) FILTER (outcome = 'answered' AND reopened IS NOT TRUE) AS solved,
       count(customer) AS known, count(*) FILTER (times > 1) AS repeated
FROM counted LEFT JOIN run_outcome ON run_outcome.id = run_id
GROUP BY {names}
ORDER BY tickets DESC, {names}
