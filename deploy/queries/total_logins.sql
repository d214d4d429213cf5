-- Total logins
--
-- answers: How often did players log in on each day, and how many of them?
-- columns: event_day, application_id, logins, players
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: AWS metric TotalLogins

SELECT CAST(year || '-' || month || '-' || day AS date) AS event_day, application_id,
       count(DISTINCT event_id) AS logins,
       count(DISTINCT json_extract_scalar(event_data, '$.player_id')) AS players
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
  AND event_type = 'login'
GROUP BY CAST(year || '-' || month || '-' || day AS date), application_id
ORDER BY event_day, application_id
