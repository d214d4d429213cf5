-- Busiest minutes
--
-- answers: In which ten minutes did most happen in a game, and to how many players?
-- columns: minute_utc, application_id, events, players
-- parameters: 2 days, today included; 10 minutes
-- reads: 2 days; event_id, event_timestamp, event_data
-- origin: Headgate

SELECT date_trunc('minute', CAST(from_unixtime(event_timestamp) AS timestamp)) AS minute_utc, application_id,
       count(DISTINCT event_id) AS events,
       count(DISTINCT json_extract_scalar(event_data, '$.player_id')) AS players
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '1' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
GROUP BY date_trunc('minute', CAST(from_unixtime(event_timestamp) AS timestamp)), application_id
ORDER BY events DESC, minute_utc, application_id
LIMIT 10
