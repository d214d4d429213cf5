"""Runs other programs to make a peer: what they say goes to a log, progress to standard error."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rig.problems import Broken, Missing


def say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


def cores() -> int:
    return len(os.sched_getaffinity(0))


def need(mend: str, *programs: str) -> None:
    """The programs must be there."""
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        raise Missing(f"no {', '.join(absent)} here; {mend}")


def run(command: list, log: Path, environment: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    """Runs a command that must succeed."""
    with open(log, "ab") as output:
        output.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        output.flush()
        status = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd,
            env=os.environ | (environment or {}),
        ).returncode
    if status != 0:
        raise Broken(f"{command[0]} ended with {status}:\n{tail(log)}\n(all of it is in {log})")


def answer(*command: object) -> str:
    """The first line that a command prints, on whichever of its outputs."""
    try:
        said = subprocess.run(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=60, check=True,
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.SubprocessError) as error:
        raise Broken(f"{command[0]} does not say what it is: {error}") from error
    return said.strip().partition("\n")[0].strip()


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
