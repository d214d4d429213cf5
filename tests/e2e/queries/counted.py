"""Has every query of a folder answered over a lake that others wrote, and compares each answer with what was sent.

  counted.py --queries DIR --sent sent.jsonl --now-ms MS [--also ANSWERS]
  counted.py --queries DIR --translate FOLDER       writes the queries in DuckDB's words, for whoever else is to be asked

Runs where `headgate-data` lies; what it asks is what answers.py asks, once, today. ANSWERS is a file of answers that came
another way (name to rows, each value as text, as Athena gives them), held against the same figures.
"""

import argparse
import json
import pathlib
import sys

import duckdb

import headers
from answers import answer, difference, translated
from figures import FIGURES
from sent import Event, Sent


def as_text(rows):
    """Rows as Athena's API gives them."""
    return [tuple(None if value is None else str(value) for value in row) for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=pathlib.Path, required=True)
    parser.add_argument("--sent", type=pathlib.Path)
    parser.add_argument("--now-ms", type=int)
    parser.add_argument("--also", type=pathlib.Path)
    parser.add_argument("--translate", type=pathlib.Path)
    args = parser.parse_args()
    if args.translate:
        for name, text in headers.queries(args.queries).items():
            (args.translate / f"{name}.sql").write_text(translated(text))
        return
    lake = duckdb.connect()
    lake.execute((args.queries / "duckdb" / "setup.sql").read_text())
    # In a transaction the current day stays what it is.
    lake.execute("BEGIN")
    today = lake.execute("SELECT current_date").fetchone()[0]
    sent = Sent([Event(json.loads(line)) for line in args.sent.read_text().splitlines()], today, args.now_ms)
    count = "SELECT count(*), count(DISTINCT application_id || event_id) FROM raw_events"
    rows, distinct = lake.execute(count).fetchone()
    status = "SELECT json_extract_string(metadata, '$.processing_result.status') AS status, count(*) FROM raw_events GROUP BY 1"
    summary = {"rows": rows, "distinct": distinct, "status": dict(lake.execute(status).fetchall()), "answered": 0}
    also = json.loads(args.also.read_text()) if args.also else {}
    problems = []
    for name, text in headers.queries(args.queries).items():
        figures = FIGURES[name](sent)
        _, rows = answer(lake, translated(text))
        summary["answered"] += bool(rows)
        if found := difference(figures, rows):
            problems.append(f"{name}: {found}")
        if name in also and (found := difference(as_text(figures), [tuple(row) for row in also[name]])):
            problems.append(f"{name}, the other way: {found}")
    if problems:
        sys.exit("\n".join(problems))
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
