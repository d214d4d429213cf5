-- Logins by version
--
-- answers: Which versions of the game log in?
-- columns: application_id, app_version, logins, players
-- parameters: 7 days, today included
-- reads: 7 days; event_type, event_id, app_version, event_data
-- origin: Headgate

SELECT application_id, app_version, count(DISTINCT event_id) AS logins,
       count(DISTINCT json_extract_scalar(event_data, '$.player_id')) AS players
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '6' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
  AND event_type = 'login'
GROUP BY application_id, app_version
ORDER BY application_id, logins DESC, app_version
