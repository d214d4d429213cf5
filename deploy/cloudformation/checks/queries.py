"""Renders queries.yaml of deploy/queries/*.sql: each file a named query, its first comment line the name and the `answers`
line the description. `python -m checks.queries` (deploy/cloudformation/render-queries) writes it; the check compares."""

import re

from checks.template import FOLDER, WORKSPACE

QUERIES = WORKSPACE / "deploy" / "queries"
RENDERED = FOLDER / "queries.yaml"

HEAD = """\
AWSTemplateFormatVersion: "2010-09-09"
Description: "Headgate, queries: Athena's named queries. Made of deploy/queries by deploy/cloudformation/render-queries; change those. Needs data."

Parameters:
  Database:
    Type: AWS::SSM::Parameter::Value<String>
    Default: /headgate/prod/data/database
  Workgroup:
    Type: AWS::SSM::Parameter::Value<String>
    Default: /headgate/prod/data/workgroup

Resources:
"""

RESOURCE = """\
  {logical_id}:
    Type: AWS::Athena::NamedQuery
    Properties:
      Name: {name}
      Description: {description}
      Database: !Ref Database
      WorkGroup: !Ref Workgroup
      QueryString: |
{query}
"""


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def rendered(files):
    """The template for these (name, SQL) pairs; None for none, since a template without resources is none."""
    resources = []
    for stem, sql in sorted(files):
        title = re.match(r"-- *(.+)", sql)
        answers = re.search(r"^-- *answers: *(.+)$", sql, re.MULTILINE)
        if not title:
            raise ValueError(f"{stem}.sql: its first line has to be a comment, which becomes its name")
        resources.append(
            RESOURCE.format(
                logical_id="".join(part.capitalize() for part in re.split(r"[^a-zA-Z0-9]+", stem)),
                name=quoted(title.group(1).strip()[:128]),
                description=quoted((answers or title).group(1).strip()[:1024]),
                query="\n".join(f"        {line}".rstrip() for line in sql.strip().splitlines()),
            )
        )
    return HEAD + "\n".join(resources) if resources else None


def files():
    return [(path.stem, path.read_text()) for path in sorted(QUERIES.glob("*.sql"))]


def problems(_stacks):
    wanted = rendered(files())
    there = RENDERED.read_text() if RENDERED.exists() else None
    found = [] if wanted == there else ["queries.yaml is old: run deploy/cloudformation/render-queries and commit it"]
    # The renderer itself, on files that are not there.
    sample = rendered([("b_two", "-- Two: \"quoted\"\nSELECT 2;\n"), ("a_one", "-- One\n--\n-- answers: what?\nSELECT '${x}'\n")])
    if not sample.index("AOne:") < sample.index("BTwo:") or 'Name: "Two: \\"quoted\\""' not in sample or '"what?"' not in sample:
        found.append(f"the renderer is broken:\n{sample}")
    return found, f"{len(files())} queries"


if __name__ == "__main__":
    text = rendered(files())
    if text is None:
        RENDERED.unlink(missing_ok=True)
        print("there are no queries")
    else:
        RENDERED.write_text(text)
        print(f"wrote {RENDERED.relative_to(WORKSPACE)} with {len(files())} queries")
