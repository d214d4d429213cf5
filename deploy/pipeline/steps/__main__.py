"""Runs the step that is asked for."""

import importlib
import sys

from steps.names import Failure

STEPS = ["package", "promote", "changes", "settle", "smoke-test", "sweep", "release"]


def main():
    name, *arguments = sys.argv[1:]
    if name not in STEPS:
        sys.exit(f"no such step: {name}; there are {', '.join(STEPS)}")
    try:
        importlib.import_module(f"steps.{name.replace('-', '_')}").main(arguments)
    except Failure as problem:
        sys.exit(f"{name}: {problem}")


main()
