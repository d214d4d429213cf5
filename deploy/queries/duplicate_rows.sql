-- Duplicate rows
--
-- answers: How many rows are repetitions of an event (delivery is at least once)?
-- columns: event_day, application_id, row_count, events, duplicates, duplicate_percent (of the rows)
-- parameters: 30 days, today included
-- reads: 30 days; event_id
-- origin: Headgate

WITH counted AS (
    SELECT CAST(year || '-' || month || '-' || day AS date) AS event_day, application_id,
           count(*) AS row_count, count(DISTINCT event_id) AS events
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
    GROUP BY CAST(year || '-' || month || '-' || day AS date), application_id
)
SELECT event_day, application_id, row_count, events, row_count - events AS duplicates,
       round(100 * CAST(row_count - events AS double) / row_count, 2) AS duplicate_percent
FROM counted
ORDER BY event_day, application_id
