"""Peers, and what they need, from the package registries of Python and Node."""

import shutil
import sys
from pathlib import Path

from rig.place import Place
from rig.problems import Broken, Missing
from rig.tools import need, run, say, tail


def python(place: Place, requirements: Path, *options: str) -> Path:
    """The interpreter of an environment with these packages, made once. Built packages only."""
    return _made(place, requirements, _make_python, options) / "bin" / "python"


def node_modules(place: Place, manifest: Path) -> Path:
    """The folder with a manifest's packages, made once. The lock file lies beside the manifest."""
    return _made(place, manifest, _make_node_modules, ()) / "node_modules"


def _made(place: Place, manifest: Path, make, options: tuple[str, ...]) -> Path:
    # The manifest is copied last: what was broken off, or was made for another manifest, is made again.
    folder = place.folder / "packages"
    done = folder / "made-for"
    if not done.exists() or done.read_text() != manifest.read_text():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make(place, folder, manifest, options)
        done.write_text(manifest.read_text())
    return folder


def _make_python(place: Place, folder: Path, requirements: Path, options: tuple[str, ...]) -> None:
    log = place.folder / "packages.log"
    say(f"{place.name}: installing {requirements.name}")
    try:
        run([sys.executable, "-m", "venv", folder], log)
    except Broken as broken:
        raise Missing(f"no Python environment can be made; install python3-venv: {broken}") from broken
    install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    try:
        run([*install, *options, "--requirement", requirements], log)
    except Broken as broken:
        raise Missing(
            f"pip can't install {requirements.name}; a package index that has it for this machine is needed. "
            f"pip says: {tail(log, 3)}"
        ) from broken


def _make_node_modules(place: Place, folder: Path, manifest: Path, _options: tuple[str, ...]) -> None:
    need("install Node 18 or later with npm", "node", "npm")
    log = place.folder / "packages.log"
    say(f"{place.name}: installing {manifest.name}")
    for file in (manifest, manifest.with_name("package-lock.json")):
        shutil.copy(file, folder)
    try:
        run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], log, cwd=folder)
    except Broken as broken:
        raise Missing(f"npm can't install the packages of {manifest.name}. npm says: {tail(log, 3)}") from broken
