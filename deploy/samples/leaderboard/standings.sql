-- Every player's standing, worked out anew from the lake, best first: what the leaderboard has to say, too. For Athena, and
-- for DuckDB with the macros of deploy/queries/duckdb/setup.sql. Reads all of raw_events: name a year, a month and days where
-- the lake is large, and mind that the leaderboard has counted since its stack was made.

WITH stored AS (
    SELECT
        application_id,
        event_id,
        event_time_ms,
        json_extract_scalar(event_data, '$.player_id') AS player_id,
        json_extract_scalar(event_data, '$.player_name') AS player_name,
        json_extract_scalar(event_data, '$.score') AS score,
        row_number() OVER (PARTITION BY application_id, event_id ORDER BY event_time_ms) AS copy
    FROM raw_events
    WHERE event_type = 'match_end'
),

-- An event that was delivered twice counts once; the rest is what functions/scores.py asks of a score.
scored AS (
    SELECT application_id, player_id, substr(player_name, 1, 64) AS player_name, event_time_ms, CAST(score AS bigint) AS score
    FROM stored
    WHERE copy = 1
        AND length(player_id) BETWEEN 1 AND 240
        AND CASE WHEN regexp_like(score, '^(0|[1-9][0-9]{0,9})$') THEN CAST(score AS bigint) <= 1000000000 ELSE false END
)

SELECT
    application_id,
    player_id,
    max_by(player_name, CASE WHEN player_name IS NOT NULL THEN event_time_ms END) AS player_name,
    sum(score) AS total,
    max(score) AS best,
    count(*) AS events
FROM scored
GROUP BY application_id, player_id
ORDER BY application_id, total DESC, player_id
