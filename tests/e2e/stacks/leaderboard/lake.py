"""Makes a lake of the transform function's rows, and asks it for every player's standing:

  lake.py --rows FOLDER --setup FILE --query FILE       in the folder where headgate-data is to lie

The rows become Parquet with the columns of raw_events, as Firehose converts them; the setup is deploy/queries/duckdb/setup.sql,
the query the sample's own. Prints JSON.
"""

import argparse
import json
import pathlib

import duckdb

TEXTS = ("event_id", "event_type", "event_name", "event_version", "app_version", "application_id", "application_name", "event_data",
         "metadata")
COLUMNS = {**{name: "VARCHAR" for name in TEXTS}, "event_timestamp": "BIGINT", "event_time_ms": "BIGINT"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("rows", "setup", "query"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    args = parser.parse_args()
    lake = duckdb.connect()
    pathlib.Path("headgate-data/lake").mkdir(parents=True)
    lake.execute(f"""
        COPY (SELECT * FROM read_json('{args.rows}/**/rows.json', format = 'newline_delimited', columns = {COLUMNS},
                                      hive_partitioning = true, hive_types_autocast = false))
        TO 'headgate-data/lake/raw_events' (FORMAT PARQUET, COMPRESSION snappy, PARTITION_BY (year, month, day))""")
    lake.execute(args.setup.read_text())
    stored, distinct, scored = lake.execute("""
        SELECT count(*), count(DISTINCT event_id), count(DISTINCT event_id) FILTER (event_type = 'match_end') FROM raw_events""").fetchone()
    answer = lake.execute(args.query.read_text())
    names = [column[0] for column in answer.description]
    # DuckDB's sums are wider than 64 bits, and no text.
    players = [dict(zip(names, row)) | {"total": int(row[names.index("total")])} for row in answer.fetchall()]
    print(json.dumps({"rows": stored, "distinct": distinct, "match_ends": scored, "players": players}))


if __name__ == "__main__":
    main()
