-- Revenue per daily active user (ARPDAU)
--
-- answers: What does an active player bring in on a day, in each currency, and how many of them buy?
-- columns: event_day, application_id, currency, dau, buyers, buyer_percent, revenue, arpdau
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: Headgate

WITH events AS (
    SELECT application_id, event_id, min(CAST(year || '-' || month || '-' || day AS date)) AS event_day,
           max(event_type) AS event_type,
           max(json_extract_scalar(event_data, '$.player_id')) AS player_id,
           max(json_extract_scalar(event_data, '$.currency_type')) AS currency,
           max(TRY_CAST(json_extract_scalar(event_data, '$.currency_amount') AS decimal(18, 2))) AS amount
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
    GROUP BY application_id, event_id
), active AS (
    SELECT event_day, application_id, count(DISTINCT player_id) AS dau
    FROM events
    GROUP BY event_day, application_id
), spent AS (
    SELECT event_day, application_id, currency, count(DISTINCT player_id) AS buyers, sum(amount) AS revenue
    FROM events
    WHERE event_type = 'iap_transaction'
    GROUP BY event_day, application_id, currency
)
SELECT spent.event_day, spent.application_id, currency, dau, buyers,
       round(100 * CAST(buyers AS double) / nullif(dau, 0), 1) AS buyer_percent, revenue,
       round(CAST(revenue AS double) / nullif(dau, 0), 4) AS arpdau
FROM spent
JOIN active ON active.event_day = spent.event_day AND active.application_id = spent.application_id
ORDER BY spent.event_day, spent.application_id, currency
