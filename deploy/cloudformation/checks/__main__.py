"""Runs the steps that were asked for, or all, and says how long each took."""

import json
import sys
import time

from checks import costs, dashboard, environment, faults, glue, guard, leaderboard, lint, metrics, pipeline, queries, wiring
from checks.template import ORDER, PIPELINE, shipped

STEPS = {
    "lint": (lint.problems, "cfn-lint finds nothing, warnings included"),
    "rules": (guard.problems, "cfn-guard finds nothing, and its rules pass their unit tests"),
    "wiring": (wiring.problems, "stacks read what others write, and what has to fit together does"),
    "pipeline": (pipeline.problems, "roles, keys, artifacts, projects and steps of the pipelines fit together"),
    "dashboard": (dashboard.problems, "the dashboard is JSON that CloudWatch draws"),
    "metrics": (metrics.problems, "alarms and widgets ask for metrics that somebody emits"),
    "queries": (queries.problems, "queries.yaml is what deploy/queries makes"),
    "costs": (costs.problems, "the table of costs is what deploy/costs prints"),
    "glue": (glue.problems, "the Glue job finds the days that got files"),
    "sample": (leaderboard.problems, "the leaderboard's template, functions, script and query say the same"),
    "faults": (faults.problems, "every seeded fault is caught"),
}


def main(asked):
    if asked == ["environment"]:
        return environment.show()
    if asked in (["documents"], ["pipeline-documents"]):
        # For an emulator's test: JSON is YAML without short tags. Samples are deployed as they are.
        names, stacks = (ORDER if asked == ["documents"] else PIPELINE), shipped()
        return print(json.dumps({name: stacks[name].document for name in names if name in stacks}))
    if asked == ["pipelines"]:
        return pipeline.show(shipped())
    unknown = set(asked) - set(STEPS)
    if unknown:
        sys.exit(f"no such step: {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}, environment, documents, pipeline-documents and pipelines")
    stacks, failed, started = shipped(), 0, time.monotonic()
    for name in asked or STEPS:
        check, promise = STEPS[name]
        began = time.monotonic()
        found, remark = check(stacks)
        failed += bool(found)
        print(f"{'FAILED' if found else 'ok':7}{name:10} {promise}{remark and f' ({remark})'}, {time.monotonic() - began:.1f} s")
        for problem in found:
            print(f"       {problem}")
    passed = len(asked or STEPS) - failed
    print(f"{passed} passed, {failed} failed, {time.monotonic() - started:.1f} s")
    sys.exit(1 if failed else 0)


main(sys.argv[1:])
