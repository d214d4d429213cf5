-- Total plays by level
--
-- answers: How often was each level begun?
-- columns: application_id, level_id, plays
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: AWS TotalPlaysByLevel

SELECT application_id, json_extract_scalar(event_data, '$.level_id') AS level_id,
       count(DISTINCT event_id) AS plays
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
  AND event_type = 'level_started'
GROUP BY application_id, json_extract_scalar(event_data, '$.level_id')
ORDER BY application_id, TRY_CAST(json_extract_scalar(event_data, '$.level_id') AS integer), level_id
