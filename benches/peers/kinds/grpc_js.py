"""The gateway's own IngestService on @grpc/grpc-js (Node): decodes and answers, nothing else."""

import json

from rig import packages
from rig.place import PROTOS, SERVERS, Place
from rig.server import Server, free_port
from rig.tools import answer


def prepare(place: Place) -> Server:
    modules = packages.node_modules(place, SERVERS / "grpc-js" / "package.json")
    address = f"127.0.0.1:{free_port()}"
    named = {name: json.loads((modules / name / "package.json").read_text())["version"]
             for name in ("@grpc/grpc-js", "@grpc/proto-loader")}
    versions = ", ".join(f"{name} {version}" for name, version in named.items())
    return Server(
        command=["node", SERVERS / "grpc-js" / "server.js", PROTOS, address],
        address=address,
        protocol="headgate-grpc",
        version=f"{versions}, Node {answer('node', '--version')}",
        does="decodes a batch of events, answers that all are accepted",
        environment={"NODE_PATH": str(modules), "NODE_ENV": "production"},
    )
