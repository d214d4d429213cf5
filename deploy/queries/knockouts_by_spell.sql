-- Knockouts by spell
--
-- answers: Which spells knock most players out?
-- columns: application_id, spell_id, knockouts
-- parameters: 30 days, today included
-- reads: 30 days; event_type, event_id, event_data
-- origin: AWS metric KnockoutsBySpell

SELECT application_id, json_extract_scalar(event_data, '$.spell_id') AS spell_id, count(DISTINCT event_id) AS knockouts
FROM raw_events
WHERE year || '-' || month || '-' || day BETWEEN date_format(current_date - INTERVAL '29' DAY, '%Y-%m-%d')
                                             AND date_format(current_date, '%Y-%m-%d')
  AND event_type = 'user_knockout'
GROUP BY application_id, json_extract_scalar(event_data, '$.spell_id')
ORDER BY application_id, knockouts DESC, spell_id
