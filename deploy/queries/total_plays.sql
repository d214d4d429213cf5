-- Total plays
--
-- answers: How many matches and levels were begun on each day, and by how many players?
-- columns: event_day, application_id, matches, levels, players
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: Headgate

SELECT CAST(year || '-' || month || '-' || day AS date) AS event_day, application_id,
       count(DISTINCT CASE WHEN event_type = 'match_start' THEN event_id END) AS matches,
       count(DISTINCT CASE WHEN event_type = 'level_started' THEN event_id END) AS levels,
       count(DISTINCT json_extract_scalar(event_data, '$.player_id')) AS players
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
  AND event_type IN ('match_start', 'level_started')
GROUP BY CAST(year || '-' || month || '-' || day AS date), application_id
ORDER BY event_day, application_id
