"""Our own rules (rules/*.guard) over every template, and the rules' unit tests (rules/tests)."""

import json
import os
import pathlib
import re
import subprocess
import tempfile

from checks.template import FOLDER

RULES = FOLDER / "rules"


def guard(*arguments):
    program = pathlib.Path(os.environ["HEADGATE_STACK_TOOLS"]) / "bin" / "cfn-guard"
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)


def broken_rules(texts):
    """The rules that templates break, by template; `texts` are templates by name."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (pathlib.Path(folder) / f"{name}.yaml").write_text(text)
        # As JSON: the report for people panics on some findings (3.1.1).
        done = guard("validate", "--rules", RULES, "--data", folder, "--structured", "--output-format", "json", "--show-summary", "none")
    # 19: a rule was broken. Anything else but 0: a rule or a template can't be read.
    if done.returncode not in (0, 19):
        raise RuntimeError(f"cfn-guard: {done.returncode}\n{done.stdout}{done.stderr}")
    broken = {}
    for report in json.loads(done.stdout):
        if rules := [each["Rule"]["name"] for each in report["not_compliant"]]:
            broken.setdefault(pathlib.Path(report["name"]).stem, []).extend(rules)
    assert bool(broken) == (done.returncode == 19), done.stdout
    return broken


def problems(stacks):
    broken = broken_rules({name: stack.text for name, stack in stacks.items()})
    found = [f"{name}.yaml breaks {rule}" for name, rules in broken.items() for rule in rules]
    rules, cases = 0, 0
    for path in sorted(RULES.glob("*.guard")):
        names = re.findall(r"^rule (\w+)", path.read_text(), re.MULTILINE)
        tests = RULES / "tests" / f"{path.stem}.yaml"
        done = guard("test", "--rules-file", path, "--test-data", tests)
        if done.returncode != 0:
            found.append(f"{tests.relative_to(FOLDER)}: {done.stdout}{done.stderr}")
        text = tests.read_text()
        for name in names:
            verdicts = re.findall(rf"\b{name}: (PASS|FAIL)\b", text)
            cases += len(verdicts)
            if set(verdicts) != {"PASS", "FAIL"}:
                found.append(f"{path.name}: {name} is not seen both to pass and to fail in {tests.name}")
        rules += len(names)
    return found, f"{rules} rules, {cases} unit tests of them"
