"""The comments at the head of the queries, and the table that the folder's README shows of them.

  headers.py DIR           says what is missing, and whether the README's table is what the headers say
  headers.py --write DIR   writes the README's table anew
"""

import pathlib
import re
import sys

FIELDS = ["answers", "columns", "parameters", "reads", "origin"]
BEGIN, END = "<!-- The table is made from the queries' headers: -->\n", "<!-- The table ends. -->\n"


def queries(folder):
    """The queries of a folder by name, in the order of their names."""
    return {path.stem: path.read_text() for path in sorted(pathlib.Path(folder).glob("*.sql"))}


def header(name, text):
    """The title and the fields of a query's header."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    fields = {"title": lines[0] if lines else ""}
    for line in lines[2:]:
        key, _, value = line.partition(": ")
        fields[key] = value
    if lines[1:2] != [""] or list(fields) != ["title", *FIELDS] or not all(fields.values()):
        sys.exit(f"{name}.sql: begins with `-- Title`, `--`, and one line for each of {', '.join(FIELDS)}")
    return fields


def columns(fields):
    """The names of the columns, without what is said of them."""
    return [column.strip() for column in re.sub(r"\([^)]*\)", "", fields["columns"]).split(",")]


def table(folder):
    rows = ["| query | answers | parameters | reads | origin |", "|---|---|---|---|---|"]
    for name, text in queries(folder).items():
        fields = header(name, text)
        rows.append(f"| [{name}]({name}.sql) | {fields['answers']} | {fields['parameters']} | {fields['reads']} | "
                    f"{fields['origin']} |")
    return "\n".join(rows) + "\n"


def main():
    folder = pathlib.Path(sys.argv[-1])
    readme = folder / "README.md"
    before, begin, rest = readme.read_text().partition(BEGIN)
    shown, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{readme}: the table stands between `{BEGIN.strip()}` and `{END.strip()}`")
    if "--write" in sys.argv:
        readme.write_text(f"{before}{BEGIN}\n{table(folder)}\n{END}{after}")
    elif shown.strip() != table(folder).strip():
        sys.exit(f"{readme}: the table is not what the queries' headers say; `headers.py --write` makes it anew")


if __name__ == "__main__":
    main()
