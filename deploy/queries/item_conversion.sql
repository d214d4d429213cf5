-- Item conversion
--
-- answers: Of the players who looked at an item, how many bought it?
-- columns: application_id, item_id, viewers, buyers, conversion_percent (of the viewers)
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_data
-- origin: Headgate

WITH players AS (
    SELECT application_id, json_extract_scalar(event_data, '$.item_id') AS item_id,
           json_extract_scalar(event_data, '$.player_id') AS player_id,
           max(CASE WHEN event_type = 'item_viewed' THEN 1 ELSE 0 END) AS viewed,
           max(CASE WHEN event_type = 'iap_transaction' THEN 1 ELSE 0 END) AS bought
    FROM raw_events
    WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                                 AND date_format(current_date, '%Y-%m-%d')
      AND event_type IN ('item_viewed', 'iap_transaction')
      AND json_extract_scalar(event_data, '$.player_id') IS NOT NULL
    GROUP BY application_id, json_extract_scalar(event_data, '$.item_id'),
             json_extract_scalar(event_data, '$.player_id')
)
SELECT application_id, item_id, sum(viewed) AS viewers, sum(viewed * bought) AS buyers,
       round(100 * CAST(sum(viewed * bought) AS double) / nullif(sum(viewed), 0), 1) AS conversion_percent
FROM players
GROUP BY application_id, item_id
ORDER BY application_id, item_id
