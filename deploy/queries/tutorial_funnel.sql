-- Tutorial funnel
--
-- answers: How many players reach each screen of the tutorial, and between which two are they lost?
-- columns: application_id, tutorial_screen_id, players, percent_of_first, percent_of_previous
-- parameters: 30 days, today included; screens in the order of their ids
-- reads: 30 days; event_type, event_data
-- origin: Headgate

WITH screens AS (
    SELECT application_id, json_extract_scalar(event_data, '$.tutorial_screen_id') AS tutorial_screen_id,
           count(DISTINCT json_extract_scalar(event_data, '$.player_id')) AS players
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
      AND event_type = 'tutorial_progression'
    GROUP BY application_id, json_extract_scalar(event_data, '$.tutorial_screen_id')
), ordered AS (
    SELECT application_id, tutorial_screen_id, players,
           first_value(players) OVER (PARTITION BY application_id ORDER BY tutorial_screen_id) AS first_players,
           lag(players) OVER (PARTITION BY application_id ORDER BY tutorial_screen_id) AS previous_players
    FROM screens
)
SELECT application_id, tutorial_screen_id, players,
       round(100 * CAST(players AS double) / nullif(first_players, 0), 1) AS percent_of_first,
       round(100 * CAST(players AS double) / nullif(previous_players, 0), 1) AS percent_of_previous
FROM ordered
ORDER BY application_id, tutorial_screen_id
