-- Level completion rate
--
-- answers: How many plays of each level end with success, and how many with failure?
-- columns: application_id, level_id, plays, completions, failures, completion_percent (of the plays)
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: AWS LevelCompletionRate (which divides by plays and completions together)

WITH levels AS (
    SELECT application_id, json_extract_scalar(event_data, '$.level_id') AS level_id,
           count(DISTINCT CASE WHEN event_type = 'level_started' THEN event_id END) AS plays,
           count(DISTINCT CASE WHEN event_type = 'level_completed' THEN event_id END) AS completions,
           count(DISTINCT CASE WHEN event_type = 'level_failed' THEN event_id END) AS failures
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
      AND event_type IN ('level_started', 'level_completed', 'level_failed')
    GROUP BY application_id, json_extract_scalar(event_data, '$.level_id')
)
SELECT application_id, level_id, plays, completions, failures,
       round(100 * CAST(completions AS double) / nullif(plays, 0), 1) AS completion_percent
FROM levels
ORDER BY application_id, TRY_CAST(level_id AS integer), level_id
