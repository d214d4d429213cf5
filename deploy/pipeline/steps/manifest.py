"""A package as it lies in a folder: its manifest, and the checksums that hold its files to it."""

import hashlib
import json

from steps.names import Failure

NAME = "manifest.json"
SUMS = "SHA256SUMS"


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(folder, manifest):
    (folder / NAME).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    (folder / SUMS).write_text("".join(f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files))


def load(folder):
    """The manifest, once every file is what its checksum says."""
    if not (folder / NAME).exists():
        raise Failure(f"{folder} is no package: it has no {NAME}")
    for line in (folder / SUMS).read_text().splitlines():
        wanted, name = line.split("  ", 1)
        if not (folder / name).is_file():
            raise Failure(f"{name} is missing in the package")
        if sha256(folder / name) != wanted:
            raise Failure(f"{name} is not what was packaged: its checksum differs")
    return json.loads((folder / NAME).read_text())


def configuration(folder, stage, stack):
    return json.loads((folder / "configuration" / stage / f"{stack}.json").read_text())
