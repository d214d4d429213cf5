-- Events by type
--
-- answers: What happens in each game, and how often?
-- columns: application_id, event_type, events, players
-- parameters: 7 days, today included
-- reads: 7 days; event_type, event_id, event_data
-- origin: Headgate

SELECT application_id, event_type, count(DISTINCT event_id) AS events,
       count(DISTINCT json_extract_scalar(event_data, '$.player_id')) AS players
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '6' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
GROUP BY application_id, event_type
ORDER BY application_id, events DESC, event_type
