-- Purchases of the last month
--
-- answers: How many purchases were made in the calendar month before this one, and by how many players?
-- columns: event_month (such as 2026-03), application_id, purchases, transactions (distinct transaction_id), players
-- parameters: none
-- reads: 31 days, the last calendar month; event_type, event_id, event_data
-- origin: AWS TotalIapTransactionsLastMonth

SELECT year || '-' || month AS event_month, application_id,
       count(DISTINCT event_id) AS purchases,
       count(DISTINCT json_extract_scalar(event_data, '$.transaction_id')) AS transactions,
       count(DISTINCT json_extract_scalar(event_data, '$.player_id')) AS players
FROM raw_events
WHERE year || '-' || month = date_format(date_trunc('month', current_date) - INTERVAL '1' MONTH, '%Y-%m')
  AND event_type = 'iap_transaction'
GROUP BY year || '-' || month, application_id
ORDER BY application_id
