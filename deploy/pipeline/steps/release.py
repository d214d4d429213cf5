"""Lays out a release of the product from a package: `release VERSION [--package FOLDER] [--binaries FOLDER] [--out FOLDER]`.

VERSION has to be that of Cargo.toml, and to have a section in CHANGELOG.md; the package has to be of a commit, without
changes on top. The folder gets the binaries, the images as OCI archives, the functions, the templates, the SBOM, the
changelog's section as notes, the package's manifest with the digests, and SHA256SUMS.
"""

import argparse
import gzip
import io
import pathlib
import re
import shutil
import tarfile
import tempfile

from steps import manifest
from steps.names import FUNCTIONS, IMAGES, WORKSPACE, Failure
from steps.package import image

DOCUMENTS = ["LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"]


def notes(version):
    """The changelog's section of a version."""
    text = (WORKSPACE / "CHANGELOG.md").read_text()
    found = re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    if not found:
        raise Failure(f"CHANGELOG.md has no section `## [{version}] - YYYY-MM-DD`: move there what is under [Unreleased]")
    return found.group(1).strip() + "\n"


def tarred(file, entries):
    """A tar that is the same for the same files: (name, bytes, mode), without times and owners."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content, mode in sorted(entries):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))


def archived(path, entries):
    with open(path, "wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
        tarred(packed, entries)


def main(arguments):
    parser = argparse.ArgumentParser(prog="release", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="such as 0.2.0")
    parser.add_argument("--package", type=pathlib.Path, default=WORKSPACE / "target" / "package")
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help="the folder of the binaries that were packaged")
    parser.add_argument("--out", type=pathlib.Path, default=WORKSPACE / "target" / "release-artifacts")
    asked = parser.parse_args(arguments)
    packaged = manifest.load(asked.package)
    if packaged["version"] != asked.version:
        raise Failure(f"the package is of {packaged['version']} (Cargo.toml), not of {asked.version}")
    if packaged["commit"].endswith("-dirty") or packaged["commit"] == "unknown":
        raise Failure(f"the package is of no commit ({packaged['commit']})")
    text, out = notes(asked.version), asked.out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "NOTES.md").write_text(text)
    system = {"ARM64": "aarch64", "X86_64": "x86_64"}[packaged["architecture"]] + "-linux"
    documents = [(name, (WORKSPACE / name).read_bytes(), 0o644) for name in DOCUMENTS]
    programs = [(name, (asked.binaries / name).read_bytes(), 0o755) for name in IMAGES]
    folder = f"headgate-{asked.version}-{system}"
    archived(out / f"{folder}.tar.gz", [(f"{folder}/{name}", content, mode) for name, content, mode in documents + programs])
    with tempfile.TemporaryDirectory() as work:
        for program, repository in IMAGES.items():
            layout = pathlib.Path(work) / program
            if image(program, asked.binaries / program, layout) != packaged["images"][repository]:
                raise Failure(f"{program} makes another image than the package's: give the binaries that were packaged, in a checkout of their commit")
            # A layout in a tar is an OCI archive, as skopeo and podman read it.
            files = [(path.relative_to(layout).as_posix(), path.read_bytes(), 0o644) for path in layout.rglob("*") if path.is_file()]
            with open(out / f"{program}-{asked.version}-{system}.oci.tar", "wb") as target:
                tarred(target, files)
    for name in FUNCTIONS:
        shutil.copy(asked.package / packaged["functions"][name]["key"], out / f"headgate-{name}-{asked.version}-{system}.zip")
    stacks = [(f"cloudformation/{path.name}", path.read_bytes(), 0o644) for path in sorted((asked.package / "templates").glob("*.yaml"))]
    scripts = [(f"cloudformation/glue/{name}.py", (asked.package / each["key"]).read_bytes(), 0o644) for name, each in packaged["glue"].items()]
    archived(out / f"headgate-cloudformation-{asked.version}.tar.gz", stacks + scripts)
    shutil.copy(asked.package / "sbom.json", out / f"headgate-{asked.version}.cdx.json")
    del packaged["stages"]
    manifest.write(out, packaged)
    print("".join(f"{path.name}\n" for path in sorted(out.iterdir())), end="")
