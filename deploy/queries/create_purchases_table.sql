-- Table of purchases
--
-- answers: How does one make a table with typed columns from the JSON of one event type (CREATE TABLE AS SELECT)?
-- columns: event_id, application_id, event_time (UTC), player_id, item_id, currency, amount, year, month, day
-- parameters: 90 days, today included (Athena writes at most 100 partitions at once); the table's name
-- reads: 90 days; event_type, event_id, event_data, event_time_ms
-- origin: AWS CTAS example

CREATE TABLE purchases
WITH (format = 'PARQUET', write_compression = 'SNAPPY', partitioned_by = ARRAY['year', 'month', 'day']) AS
SELECT event_id, application_id,
       CAST(from_unixtime(CAST(max(event_time_ms) AS double) / 1000) AS timestamp) AS event_time,
       max(json_extract_scalar(event_data, '$.player_id')) AS player_id,
       max(json_extract_scalar(event_data, '$.item_id')) AS item_id,
       max(json_extract_scalar(event_data, '$.currency_type')) AS currency,
       max(TRY_CAST(json_extract_scalar(event_data, '$.currency_amount') AS decimal(18, 2))) AS amount,
       max(year) AS year, max(month) AS month, max(day) AS day
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '89' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
  AND event_type = 'iap_transaction'
GROUP BY application_id, event_id
