"""cfn-lint over every template, in two regions, where a warning counts as an error: a misspelt IAM action is one."""

import pathlib
import tempfile

from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

REGIONS = ["us-east-1", "eu-west-1"]


def findings(text, regions=None):
    """What cfn-lint says of a template."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "template.yaml"
        path.write_text(text)
        matches = lint_file(path, config=ManualArgs(regions=regions or REGIONS))
    return [f"line {match.linenumber}: {match.rule.id} {match.message}" for match in matches]


def problems(stacks):
    found = [f"{name}.yaml, {finding}" for name, stack in stacks.items() for finding in findings(stack.text)]
    return found, f"{len(stacks)} templates, {' and '.join(REGIONS)}"
