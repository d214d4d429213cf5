-- User sentiment per day
--
-- answers: How do users rate each game, day by day?
-- columns: event_day, application_id, ratings, average_rating
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: AWS AverageUserSentimentPerDay

WITH ratings AS (
    SELECT application_id, event_id, min(CAST(year || '-' || month || '-' || day AS date)) AS event_day,
           max(TRY_CAST(json_extract_scalar(event_data, '$.user_rating') AS double)) AS rating
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
      AND event_type = 'user_sentiment'
    GROUP BY application_id, event_id
)
SELECT event_day, application_id, count(rating) AS ratings, round(avg(rating), 2) AS average_rating
FROM ratings
GROUP BY event_day, application_id
ORDER BY event_day, application_id
