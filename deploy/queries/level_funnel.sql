-- Level funnel
--
-- answers: How many players try each level, how many get past it, and how often do they try?
-- columns: application_id, level_id, players, players_past, past_percent, plays_per_player
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: Headgate

WITH levels AS (
    SELECT application_id, json_extract_scalar(event_data, '$.level_id') AS level_id,
           count(DISTINCT CASE WHEN event_type = 'level_started'
                               THEN json_extract_scalar(event_data, '$.player_id') END) AS players,
           count(DISTINCT CASE WHEN event_type = 'level_completed'
                               THEN json_extract_scalar(event_data, '$.player_id') END) AS players_past,
           count(DISTINCT CASE WHEN event_type = 'level_started' THEN event_id END) AS plays
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
      AND event_type IN ('level_started', 'level_completed')
      AND json_extract_scalar(event_data, '$.player_id') IS NOT NULL
    GROUP BY application_id, json_extract_scalar(event_data, '$.level_id')
)
SELECT application_id, level_id, players, players_past,
       round(100 * CAST(players_past AS double) / nullif(players, 0), 1) AS past_percent,
       round(CAST(plays AS double) / nullif(players, 0), 2) AS plays_per_player
FROM levels
ORDER BY application_id, TRY_CAST(level_id AS integer), level_id
