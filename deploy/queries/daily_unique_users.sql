-- Daily unique users
--
-- answers: How many different players were there on each day?
-- columns: event_day, application_id, players, events
-- parameters: 30 days, today included
-- reads: 30 days; event_id, event_data
-- origin: Headgate

SELECT CAST(year || '-' || month || '-' || day AS date) AS event_day, application_id,
       count(DISTINCT json_extract_scalar(event_data, '$.player_id')) AS players,
       count(DISTINCT event_id) AS events
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
GROUP BY CAST(year || '-' || month || '-' || day AS date), application_id
ORDER BY event_day, application_id
