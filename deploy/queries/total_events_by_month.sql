-- Total events by month
--
-- answers: How many events did each game send in each month?
-- columns: event_month (such as 2026-03), application_id, events
-- parameters: this month and 11 before it
-- reads: 366 days, if months are full; event_id and application_id
-- origin: AWS TotalEventsMonthQuery

SELECT year || '-' || month AS event_month, application_id, count(DISTINCT event_id) AS events
FROM raw_events
WHERE year || '-' || month BETWEEN date_format(date_trunc('month', current_date) - INTERVAL '11' MONTH, '%Y-%m')
                               AND date_format(current_date, '%Y-%m')
GROUP BY year || '-' || month, application_id
ORDER BY event_month, application_id
