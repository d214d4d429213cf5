-- Active users: DAU, WAU, MAU
--
-- answers: How many players were active on each day, in the 7 days to it, and in the 30 days to it?
-- columns: event_day, application_id, dau, wau, mau, stickiness_percent (dau of mau)
-- parameters: 30 days shown, today included; 7 and 30 days for week and month
-- reads: 59 days; event_data
-- origin: Headgate

WITH active AS (
    SELECT DISTINCT application_id, CAST(year || '-' || month || '-' || day AS date) AS event_day,
           json_extract_scalar(event_data, '$.player_id') AS player_id
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '58' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
      AND json_extract_scalar(event_data, '$.player_id') IS NOT NULL
), shown AS (
    SELECT DISTINCT application_id, event_day
    FROM active
    WHERE event_day >= current_date - INTERVAL '29' DAY
), counted AS (
    SELECT shown.event_day, shown.application_id,
           count(DISTINCT CASE WHEN active.event_day = shown.event_day THEN player_id END) AS dau,
           count(DISTINCT CASE WHEN date_diff('day', active.event_day, shown.event_day) < 7 THEN player_id END) AS wau,
           count(DISTINCT player_id) AS mau
    FROM shown
    JOIN active ON active.application_id = shown.application_id
               AND date_diff('day', active.event_day, shown.event_day) BETWEEN 0 AND 29
    GROUP BY shown.event_day, shown.application_id
)
SELECT event_day, application_id, dau, wau, mau, round(100 * CAST(dau AS double) / mau, 1) AS stickiness_percent
FROM counted
ORDER BY event_day, application_id
