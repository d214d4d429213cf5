-- Lets DuckDB answer the queries of the folder above as they stand, over a gateway's own lake. Where `headgate-data` lies:
--
--   duckdb -init deploy/queries/duckdb/setup.sql -f deploy/queries/active_users.sql

SET TimeZone = 'UTC';

CREATE MACRO json_extract_scalar(json_text, path) AS json_extract_string(json_text, path);
CREATE MACRO date_format(moment, format) AS strftime(moment, format);
CREATE MACRO regexp_like(text, pattern) AS regexp_matches(text, pattern);
CREATE MACRO from_unixtime(seconds) AS make_timestamp(CAST(seconds * 1000000 AS bigint));

-- Year, month and day stay texts, as they are on Athena.
CREATE VIEW raw_events AS
SELECT *
FROM read_parquet(
    'headgate-data/lake/raw_events/**/*.parquet', hive_partitioning = true, hive_types_autocast = false
);
