-- Revenue by currency per day
--
-- answers: What did players spend on each day, in each currency?
-- columns: event_day, application_id, currency, purchases, buyers, revenue
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: Headgate

WITH purchases AS (
    SELECT application_id, event_id, min(CAST(year || '-' || month || '-' || day AS date)) AS event_day,
           max(json_extract_scalar(event_data, '$.player_id')) AS player_id,
           max(json_extract_scalar(event_data, '$.currency_type')) AS currency,
           max(TRY_CAST(json_extract_scalar(event_data, '$.currency_amount') AS decimal(18, 2))) AS amount
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
      AND event_type = 'iap_transaction'
    GROUP BY application_id, event_id
)
SELECT event_day, application_id, currency, count(*) AS purchases, count(DISTINCT player_id) AS buyers,
       sum(amount) AS revenue
FROM purchases
GROUP BY event_day, application_id, currency
ORDER BY event_day, application_id, currency
