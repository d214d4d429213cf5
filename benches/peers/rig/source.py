"""Sources of peers that are built here: a folder that is named by hand, or a clone at a pinned tag."""

import os
import shutil
from pathlib import Path

from rig.place import Place
from rig.problems import Broken, Missing
from rig.tools import need, run, say, tail


def built(place: Place, repository: str, tag: str, recipe: str, build) -> Path:
    """The program that `build(source, into)` makes of the sources.

    Made once for a recipe. It is made again for other sources when a folder is named, not when none is: what was built
    from a folder stays where nothing can be cloned.
    """
    given = os.environ.get(place.source_variable)
    origin = str(Path(given).absolute()) if given else f"{repository} {tag}"
    into, noted, done = (place.folder / name for name in ("build", "build-of", "program"))
    noted_origin, _, noted_recipe = noted.read_text().partition("\n") if noted.exists() else ("", "", "")
    same = noted_recipe == recipe and (noted_origin == origin or not given)
    if same and done.exists() and Path(done.read_text()).exists():
        return Path(done.read_text())
    if not place.may_build:
        raise Missing(
            f"it is not built yet: benches/peers/run {place.name} builds it, which takes many minutes, or set "
            f"{place.variable} to its program"
        )
    source = _given(place, given) if given else _cloned(place, repository, tag)
    if (noted_origin, noted_recipe) != (origin, recipe):
        # Nothing of another build may be left in it, not even of one that was broken off.
        shutil.rmtree(into, ignore_errors=True)
    done.unlink(missing_ok=True)
    into.mkdir(exist_ok=True)
    noted.write_text(f"{origin}\n{recipe}")
    program = build(source, into)
    done.write_text(str(program))
    return program


def _given(place: Place, folder: str) -> Path:
    if not Path(folder).is_dir():
        raise Broken(f"{place.source_variable} is {folder}, which is no folder")
    return Path(folder).absolute()


def _cloned(place: Place, repository: str, tag: str) -> Path:
    source = place.folder / f"source-{tag}"
    if source.exists():
        return source
    need("install git", "git")
    log = place.folder / "clone.log"
    unfinished = place.folder / "clone"
    shutil.rmtree(unfinished, ignore_errors=True)
    say(f"{place.name}: cloning {repository} at {tag}")
    clone = ["git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth", "1", "--branch", tag]
    try:
        run([*clone, repository, unfinished], log, environment={"GIT_TERMINAL_PROMPT": "0"})
    except Broken as broken:
        raise Missing(
            f"{repository} can't be cloned ({tail(log, 1)}); set {place.variable} to its program, or "
            f"{place.source_variable} to a folder with its sources at {tag}"
        ) from broken
    unfinished.rename(source)
    return source
