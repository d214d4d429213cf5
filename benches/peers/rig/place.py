"""Where a peer is made and kept: a folder of its own in cargo's target folder."""

import contextlib
import fcntl
import os
from pathlib import Path
from string import Template

from rig.problems import Broken

PEERS = Path(__file__).resolve().parent.parent
REPOSITORY = PEERS.parent.parent
CONFIGS = PEERS / "configs"
SERVERS = PEERS / "servers"
PROTOS = REPOSITORY / "proto" / "proto"


class Place:
    """A peer's folder, and the variables by which a peer is provided by hand."""

    def __init__(self, name: str, may_build: bool = True):
        target = os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target"
        self.name = name
        self.may_build = may_build
        self.folder = Path(target).absolute() / "peers" / name

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / f"{self.name}.log"

    @property
    def variable(self) -> str:
        """The variable that names a program to use instead of making one."""
        return "HEADGATE_PEER_" + self.name.upper().replace("-", "_")

    @property
    def source_variable(self) -> str:
        """The variable that names a folder with sources to build from."""
        return "HEADGATE_PEER_SOURCE_" + self.name.upper().replace("-", "_")

    @contextlib.contextmanager
    def locked(self):
        """Keeps others from making the same peer meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def by_hand(self) -> Path | None:
        """The program that was provided by hand, if one was."""
        path = os.environ.get(self.variable)
        if not path:
            return None
        if not os.access(path, os.X_OK) or os.path.isdir(path):
            raise Broken(f"{self.variable} is {path}, which is no program that may be run")
        return Path(path).absolute()

    def config(self, name: str, **values: object) -> Path:
        """Writes one of the configurations with its values put in."""
        path = self.folder / f"{self.name}-{name}"
        path.write_text(Template((CONFIGS / name).read_text()).substitute(values))
        return path
