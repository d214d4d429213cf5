"""The four metrics of each minute, counted over a lake by DuckDB: one JSON object.

  windows.py --lake DIR --application ID --grace SECONDS

Late is what came to the gateway later than so many seconds after the end of its minute.

{"windows": [[minute_s, app_version, events, logins, late], …],
 "knockouts": [[minute_s, app_version, spell_id, events], …], "purchases": [[minute_s, app_version, currency_type, events], …],
 "rows": n}
"""

import argparse
import json
import pathlib

import duckdb


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", required=True)
    parser.add_argument("--application", required=True)
    parser.add_argument("--grace", required=True, type=int)
    args = parser.parse_args()
    lake = duckdb.connect()
    files = str(pathlib.Path(args.lake) / "raw_events" / "**" / "*.parquet").replace("'", "''")
    lake.execute(f"CREATE VIEW raw_events AS SELECT * FROM read_parquet('{files}', hive_partitioning = true)")
    lake.execute("""
        CREATE TABLE events AS
        SELECT DISTINCT ON (event_id) event_id, event_type, event_timestamp // 60 * 60 AS minute_s,
               coalesce(app_version, '') AS app_version, event_data::JSON AS event_data,
               (metadata::JSON->'api'->>'request_time_epoch')::BIGINT AS came_ms
        FROM raw_events WHERE application_id = ?""", [args.application])

    def rows(query):
        return [list(row) for row in lake.execute(query).fetchall()]

    def by(event_type, member):
        return rows(f"""
            SELECT minute_s, app_version, coalesce(event_data->>'{member}', '(none)'), count(DISTINCT event_id)
            FROM events WHERE event_type = '{event_type}' GROUP BY ALL ORDER BY ALL""")

    print(json.dumps({
        "windows": rows(f"""
            SELECT minute_s, app_version, count(DISTINCT event_id),
                   count(DISTINCT event_id) FILTER (WHERE event_type = 'login'),
                   count(DISTINCT event_id) FILTER (WHERE came_ms >= (minute_s + 60 + {args.grace}) * 1000)
            FROM events GROUP BY ALL ORDER BY ALL"""),
        "knockouts": by("user_knockout", "spell_id"),
        "purchases": by("iap_transaction", "currency_type"),
        "rows": lake.execute("SELECT count(*) FROM raw_events WHERE application_id = ?", [args.application]).fetchone()[0],
    }))


if __name__ == "__main__":
    main()
