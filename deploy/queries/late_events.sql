-- Late events
--
-- answers: How long after they happened do events arrive, and how many come from clocks that are ahead?
-- columns: event_day, application_id, events, ahead, within_an_hour, within_a_day, later
-- parameters: 30 days and tomorrow (clocks that are ahead)
-- reads: 31 days; event_id, event_time_ms, metadata
-- origin: Headgate

WITH arrivals AS (
    SELECT application_id, event_id, min(CAST(year || '-' || month || '-' || day AS date)) AS event_day,
           min(CAST(json_extract_scalar(metadata, '$.api.request_time_epoch') AS bigint) - event_time_ms) AS delay_ms
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date + INTERVAL '1' DAY, '%Y-%m-%d')
    GROUP BY application_id, event_id
)
SELECT event_day, application_id, count(*) AS events,
       count_if(delay_ms < 0) AS ahead,
       count_if(delay_ms BETWEEN 0 AND 3600000) AS within_an_hour,
       count_if(delay_ms BETWEEN 3600001 AND 86400000) AS within_a_day,
       count_if(delay_ms > 86400000) AS later
FROM arrivals
GROUP BY event_day, application_id
ORDER BY event_day, application_id
