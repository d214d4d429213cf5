-- Sessions per day
--
-- answers: How many sessions began on each day, and how long does one take (first to last event)?
-- columns: session_day, application_id, sessions, players, median_seconds, longest_seconds
-- parameters: 30 days, today included
-- reads: 31 days, so that a session of the night before is no new one; event_data, event_time_ms
-- origin: Headgate

WITH sessions AS (
    SELECT application_id, json_extract_scalar(event_data, '$.session_id') AS session_id,
           max(json_extract_scalar(event_data, '$.player_id')) AS player_id,
           min(CAST(year || '-' || month || '-' || day AS date)) AS session_day,
           CAST(max(event_time_ms) - min(event_time_ms) AS double) / 1000 AS seconds
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '30' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
      AND json_extract_scalar(event_data, '$.session_id') IS NOT NULL
    GROUP BY application_id, json_extract_scalar(event_data, '$.session_id')
), ranked AS (
    SELECT session_day, application_id, player_id, seconds,
           row_number() OVER (PARTITION BY session_day, application_id ORDER BY seconds) AS place,
           count(*) OVER (PARTITION BY session_day, application_id) AS places
    FROM sessions
    WHERE session_day >= current_date - INTERVAL '29' DAY
)
SELECT session_day, application_id, count(*) AS sessions, count(DISTINCT player_id) AS players,
       -- Of an even number of sessions, the mean of the two in the middle: exact, unlike approx_percentile.
       round(avg(CASE WHEN 2 * place BETWEEN places AND places + 2 THEN seconds END), 3) AS median_seconds,
       round(max(seconds), 3) AS longest_seconds
FROM ranked
GROUP BY session_day, application_id
ORDER BY session_day, application_id
