-- Total failures by level
--
-- answers: How often was each level failed?
-- columns: application_id, level_id, failures
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: AWS TotalFailuresByLevel

SELECT application_id, json_extract_scalar(event_data, '$.level_id') AS level_id,
       count(DISTINCT event_id) AS failures
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
  AND event_type = 'level_failed'
GROUP BY application_id, json_extract_scalar(event_data, '$.level_id')
ORDER BY application_id, TRY_CAST(json_extract_scalar(event_data, '$.level_id') AS integer), level_id
