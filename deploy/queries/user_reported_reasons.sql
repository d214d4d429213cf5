-- User-reported reasons
--
-- answers: For which reasons do users report others, and how often?
-- columns: application_id, report_reason, reports
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: AWS UserReportedReasonsCount

SELECT application_id, json_extract_scalar(event_data, '$.report_reason') AS report_reason,
       count(DISTINCT event_id) AS reports
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
  AND event_type = 'user_report'
GROUP BY application_id, json_extract_scalar(event_data, '$.report_reason')
ORDER BY application_id, reports DESC, report_reason
