-- Retention: D1, D7, D30
--
-- answers: Of the players first seen on a day, how many were there again 1, 7 and 30 days later?
-- columns: cohort_day, application_id, new_players, d1_percent, d7_percent, d30_percent (empty until that day is over)
-- parameters: 60 days of cohorts, today included, after 30 days that tell who is not new
-- reads: 90 days; event_data
-- origin: Headgate

WITH active AS (
    SELECT DISTINCT application_id, CAST(year || '-' || month || '-' || day AS date) AS event_day,
           json_extract_scalar(event_data, '$.player_id') AS player_id
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '89' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
      AND json_extract_scalar(event_data, '$.player_id') IS NOT NULL
), first_seen AS (
    SELECT application_id, player_id, min(event_day) AS cohort_day
    FROM active
    GROUP BY application_id, player_id
), cohorts AS (
    SELECT cohort_day, first_seen.application_id, count(DISTINCT first_seen.player_id) AS new_players,
           count(CASE WHEN date_diff('day', cohort_day, event_day) = 1 THEN 1 END) AS d1,
           count(CASE WHEN date_diff('day', cohort_day, event_day) = 7 THEN 1 END) AS d7,
           count(CASE WHEN date_diff('day', cohort_day, event_day) = 30 THEN 1 END) AS d30
    FROM first_seen
    JOIN active ON active.application_id = first_seen.application_id AND active.player_id = first_seen.player_id
    WHERE cohort_day >= current_date - INTERVAL '59' DAY
    GROUP BY cohort_day, first_seen.application_id
)
SELECT cohort_day, application_id, new_players,
       CASE WHEN date_diff('day', cohort_day, current_date) > 1
            THEN round(100 * CAST(d1 AS double) / new_players, 1) END AS d1_percent,
       CASE WHEN date_diff('day', cohort_day, current_date) > 7
            THEN round(100 * CAST(d7 AS double) / new_players, 1) END AS d7_percent,
       CASE WHEN date_diff('day', cohort_day, current_date) > 30
            THEN round(100 * CAST(d30 AS double) / new_players, 1) END AS d30_percent
FROM cohorts
ORDER BY cohort_day, application_id
