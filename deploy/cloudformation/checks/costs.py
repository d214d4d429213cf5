"""The table of costs in docs/operating.md is what deploy/costs prints with its defaults."""

import re
import subprocess
import sys

from checks.template import WORKSPACE

PAGE = WORKSPACE / "docs" / "operating.md"
BETWEEN = re.compile(r"<!-- What `deploy/costs` prints: -->\n\n(.*?)\n\n<!-- The table ends. -->", re.S)


def printed(*flags):
    return subprocess.run([sys.executable, WORKSPACE / "deploy" / "costs", *flags], check=True, capture_output=True, text=True).stdout


def problems(_stacks):
    found, table = [], printed()
    shown = BETWEEN.search(PAGE.read_text())
    if not shown or shown.group(1).strip() != table.strip():
        found.append("docs/operating.md has an old table of costs: put what deploy/costs prints between its two comments")
    # A script that ignores what it is told would print the same.
    if printed("--stored-bytes", "1300") == table or printed("--shard-hour", "1") == table:
        found.append("deploy/costs does not heed its flags")
    return found, f"{len(table.splitlines())} lines"
