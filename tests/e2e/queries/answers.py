"""Has every query of a folder answered over a lake, and compares each answer with what was sent, row for row.

  answers.py --queries DIR --sent sent.jsonl --now-ms MS [--lint]

Runs where `headgate-data` lies. Each query is answered as Athena would, translated by sqlglot, today and as on many
other days, month ends among them; and as it stands, with the macros of `duckdb/setup.sql`. With --lint, it looks at the
texts only. Says what was compared, or fails and says what differs.
"""

import argparse
import collections
import datetime
import json
import pathlib
import re
import sys

import duckdb
import sqlglot
from sqlglot import exp

import headers
from figures import BLIND_TO_DUPLICATES, FIGURES
from sent import Event, Sent

LAKE = pathlib.Path("headgate-data/lake")


def parsed(text):
    """A query in Athena's dialect, apart from how a table that it makes is stored: that is no business of DuckDB's."""
    tree = sqlglot.parse_one(text, read="athena", error_level=sqlglot.ErrorLevel.RAISE)
    tree.sql(dialect="athena", unsupported_level=sqlglot.ErrorLevel.RAISE)
    if isinstance(tree, exp.Create):
        tree.set("properties", None)
    return tree


def translated(text, today=None):
    """The query in DuckDB's words; with a day, as on that day."""
    def as_of(node):
        return exp.cast(exp.Literal.string(today.isoformat()), "date") if isinstance(node, exp.CurrentDate) else node
    tree = parsed(text)
    tree = tree if today is None else tree.transform(as_of)
    return tree.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)


def lint(text):
    """What is wrong with a query's text; nothing if it is as it should be."""
    if ";" in re.sub("--.*", "", text) or not text.endswith("\n"):
        yield "is one statement without a semicolon, and ends with a line's end"
    if any(len(line) > 120 for line in text.splitlines()):
        yield "has a line of more than 120 characters"
    translated(text)
    scans = 0
    for select in parsed(text).find_all(exp.Select):
        source = select.args.get("from_") or select.args.get("from")
        if not source or not isinstance(source.this, exp.Table) or source.this.name != "raw_events":
            continue
        scans += 1
        if source.this.sql() != "raw_events":
            yield "names the table other than raw_events"
        where = select.args.get("where")
        named = {column.name for column in where.find_all(exp.Column)} if where else set()
        if not {"year", "month"} <= named or not where.find(exp.CurrentDate):
            yield "reads raw_events without saying which partitions"
    if not scans:
        yield "does not read raw_events"


def answer(lake, statement):
    """The columns and rows of a statement; if it makes a table, the table's, which then is gone."""
    made = re.search(r"^\s*CREATE TABLE (\w+)", re.sub(r"/\*.*?\*/", "", statement, flags=re.S), re.M)
    result = lake.execute(statement)
    if made:
        result = lake.execute(f"SELECT * FROM {made[1]} ORDER BY application_id, event_id")
    columns, rows = [column[0] for column in result.description], result.fetchall()
    if made:
        lake.execute(f"DROP TABLE {made[1]}")
    return columns, rows


def difference(expected, rows):
    """The first rows that differ, in words."""
    for place in range(max(len(expected), len(rows))):
        one, other = expected[place:place + 1], rows[place:place + 1]
        if [tuple(row) for row in one] != other:
            return f"row {place + 1} of {len(rows)} is {other}, and by what was sent {one} of {len(expected)}"
    return None


def files_read(lake, statement):
    """How many of the lake's files a query opens, by DuckDB's plan: for each time that it reads the table."""
    plan = "".join(row[1] for row in lake.execute(f"EXPLAIN (FORMAT json) {statement}").fetchall())
    return [int(read) for read in re.findall(r'"Scanning Files": "(\d+)/\d+"', plan)]


def most_files(days):
    """How many files lie in the fullest partitions, so many of them; and in all."""
    partitions = collections.Counter(path.parent for path in LAKE.glob("raw_events/**/*.parquet"))
    return sum(sorted(partitions.values(), reverse=True)[:days]), partitions.total()


def days_to_try(today):
    """Days of the last year on which month arithmetic goes wrong if it ever does."""
    days = {today, today - datetime.timedelta(days=1), today.replace(day=1)}
    month = today.replace(day=1)
    for _ in range(12):
        month -= datetime.timedelta(days=1)
        # The ends of the last two months, of February and of the year.
        if len(days) < 6 or month.month in (2, 12):
            days |= {month, month + datetime.timedelta(days=1)}
        month = month.replace(day=1)
    return sorted(days, reverse=True)


def compared(lake, name, text, sent):
    """Has a query answered in each way and on each day; gives how many rows there were, and what differs."""
    header, rows_seen, problems = headers.columns(headers.header(name, text)), 0, []

    def compare(how, statement, today):
        nonlocal rows_seen
        columns, rows = answer(lake, statement)
        rows_seen += len(rows)
        if columns != header:
            problems.append(f"{name}, {how}: its columns are {columns}, and its header says {header}")
        if found := difference(FIGURES[name](sent.on(today)), rows):
            problems.append(f"{name}, {how}, {today}: {found}")
        return rows

    ways = {"translated": translated(text)} | ({} if "CREATE TABLE" in text else {"as it stands": text})
    for how, statement in ways.items():
        # In a transaction the current day stays what it is.
        lake.execute("BEGIN")
        today = lake.execute("SELECT current_date").fetchone()[0]
        if not compare(how, statement, today):
            problems.append(f"{name}, {how}: no row, so nothing was compared")
        lake.execute("COMMIT")
    # As on other days, over a copy of the table: opening the lake's files is what takes the time.
    lake.execute("SET schema = 'copied'")
    for day in days_to_try(today):
        compare("translated", translated(text, day), day)
    lake.execute("SET schema = 'main'")
    problems += wrong_about_duplicates(name, sent.on(today))
    problems += wrong_about_partitions(lake, name, text, today)
    return rows_seen, problems


def wrong_about_duplicates(name, sent):
    """Were every duplicate an event of its own, the answer would have to be another; or else the test shows nothing."""
    double = [Event(event.sent | {"event_id": f"{event.id} again"}) for event in sent.events if event.rows > 1]
    is_blind = FIGURES[name](sent) == FIGURES[name](Sent(sent.events + double, sent.today, sent.now_ms))
    if is_blind != (name in BLIND_TO_DUPLICATES):
        yield f"{name}: whether duplicates matter is not what figures.py says"


def wrong_about_partitions(lake, name, text, today):
    """A query opens the files of no more days than its header says."""
    query = parsed(text).find(exp.Select).sql(dialect="athena")
    days = re.match(r"(\d+) days", headers.header(name, text)["reads"])
    most, all_files = most_files(int(days[1])) if days else (0, 0)
    for read in files_read(lake, translated(query, today)) or [0]:
        if not 0 < read <= most or read == all_files:
            yield f"{name}: reads {read} of {all_files} files; so many days have {most} at most"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=pathlib.Path, required=True)
    parser.add_argument("--sent", type=pathlib.Path)
    parser.add_argument("--now-ms", type=int)
    parser.add_argument("--lint", action="store_true")
    args = parser.parse_args()
    texts = headers.queries(args.queries)
    problems = [f"{name}.sql {problem}" for name, text in texts.items() for problem in lint(text)]
    problems += [f"{name}.sql has no figures, or no text" for name in sorted(texts.keys() ^ FIGURES.keys())]
    summary = {"queries": len(texts)}
    if not args.lint and not problems:
        lake = duckdb.connect()
        lake.execute((args.queries / "duckdb" / "setup.sql").read_text())
        sent = Sent([Event(json.loads(line)) for line in args.sent.read_text().splitlines()], None, args.now_ms)
        summary["events"] = len(sent.events)
        count = "SELECT count(*), count(DISTINCT application_id || event_id) FROM raw_events"
        summary["rows"], summary["distinct"] = lake.execute(count).fetchone()
        lake.execute("CREATE SCHEMA copied")
        lake.execute("CREATE TABLE copied.raw_events AS SELECT * FROM raw_events")
        found = [compared(lake, name, text, sent) for name, text in texts.items()]
        summary["rows_compared"] = sum(rows for rows, _ in found)
        problems = [problem for _, some in found for problem in some]
    if problems:
        sys.exit("\n".join(problems))
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
