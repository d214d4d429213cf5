-- Latest events
--
-- answers: Which ten events happened last?
-- columns: event_time (UTC), application_name, event_type, event_name, app_version, event_id, event_data
-- parameters: 2 days, today included; 10 events
-- reads: 2 days; all columns but metadata
-- origin: AWS LatestEventsQuery

WITH events AS (
    SELECT application_id, event_id, max(event_time_ms) AS event_time_ms, max(application_name) AS application_name,
           max(event_type) AS event_type, max(event_name) AS event_name, max(app_version) AS app_version,
           max(event_data) AS event_data
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '1' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
    GROUP BY application_id, event_id
)
SELECT CAST(from_unixtime(CAST(event_time_ms AS double) / 1000) AS timestamp) AS event_time, application_name,
       event_type, event_name, app_version, event_id, event_data
FROM events
ORDER BY event_time_ms DESC, event_id
LIMIT 10
