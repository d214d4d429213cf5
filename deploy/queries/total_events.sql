-- Total events
--
-- answers: How many events did each game send?
-- columns: application_id, application_name, events
-- parameters: 30 days, today included
-- reads: 30 days; event_id and two short columns
-- origin: AWS TotalEventsQuery

SELECT application_id, max(application_name) AS application_name, count(DISTINCT event_id) AS events
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
GROUP BY application_id
ORDER BY events DESC, application_id
