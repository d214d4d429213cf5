-- New users of the last month
--
-- answers: How many users registered in the calendar month before this one?
-- columns: event_month (such as 2026-03), application_id, new_users
-- parameters: none
-- reads: 31 days, the last calendar month; event_type, event_id
-- origin: AWS NewUsersLastMonth

SELECT year || '-' || month AS event_month, application_id, count(DISTINCT event_id) AS new_users
FROM raw_events
WHERE year || '-' || month = date_format(date_trunc('month', current_date) - INTERVAL '1' MONTH, '%Y-%m')
  AND event_type = 'user_registration'
GROUP BY year || '-' || month, application_id
ORDER BY application_id
