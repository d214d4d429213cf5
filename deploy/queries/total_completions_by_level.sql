-- Total completions by level
--
-- answers: How often was each level completed?
-- columns: application_id, level_id, completions
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: AWS TotalCompletionsByLevel

SELECT application_id, json_extract_scalar(event_data, '$.level_id') AS level_id,
       count(DISTINCT event_id) AS completions
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
  AND event_type = 'level_completed'
GROUP BY application_id, json_extract_scalar(event_data, '$.level_id')
ORDER BY application_id, TRY_CAST(json_extract_scalar(event_data, '$.level_id') AS integer), level_id
