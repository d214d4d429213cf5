"""The tables of costs and of sizes in the docs are what deploy/costs prints with its defaults."""

import re
import subprocess
import sys

from checks.template import WORKSPACE

# What prints them, by the page that shows them.
PAGES = {"operating.md": [], "performance.md": ["--sizes"]}
BETWEEN = re.compile(r"<!-- What `deploy/costs.*?` prints: -->\n\n(.*?)\n\n<!-- The tables? ends?. -->", re.S)


def printed(*flags):
    return subprocess.run([sys.executable, WORKSPACE / "deploy" / "costs", *flags], check=True, capture_output=True, text=True).stdout


def problems(_stacks):
    found, lines = [], 0
    for page, flags in PAGES.items():
        table = printed(*flags)
        lines += len(table.splitlines())
        shown = BETWEEN.search((WORKSPACE / "docs" / page).read_text())
        if not shown or shown.group(1).strip() != table.strip():
            command = " ".join(["deploy/costs", *flags])
            found.append(f"docs/{page} has an old table: put what {command} prints between its two comments")
        # A script that ignores what it is told would print the same.
        for flag, value in (("--stored-bytes", "1300"), ("--cpu-seconds", "4")):
            if printed(*flags, flag, value) == table:
                found.append(f"deploy/costs does not heed {flag}")
    return found, f"{lines} lines"
