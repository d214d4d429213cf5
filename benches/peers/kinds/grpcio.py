"""The gateway's own IngestService on grpcio (Python over gRPC's C core): decodes and answers, nothing else."""

from pathlib import Path

from rig import packages
from rig.place import CONFIGS, PROTOS, SERVERS, Place
from rig.server import Server, free_port
from rig.tools import answer, run


def prepare(place: Place) -> Server:
    python = packages.python(place, CONFIGS / "grpcio-requirements.txt")
    stubs = _stubs(place, python)
    address = f"127.0.0.1:{free_port()}"
    version = answer(
        python, "-c",
        "import grpc, google.protobuf, platform as p;"
        "print(f'grpcio {grpc.__version__}, protobuf {google.protobuf.__version__}, Python {p.python_version()}')",
    )
    return Server(
        command=[python, SERVERS / "grpcio_server.py", address],
        address=address,
        protocol="headgate-grpc",
        version=version,
        does="decodes a batch of events, answers that all are accepted",
        environment={"PYTHONPATH": str(stubs)},
    )


def _stubs(place: Place, python: Path) -> Path:
    # Made each time: it takes a moment, and the protocol may have changed.
    stubs = place.folder / "stubs"
    stubs.mkdir(exist_ok=True)
    out = [f"--python_out={stubs}", f"--grpc_python_out={stubs}"]
    run([python, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", *out, "headgate/v1/ingest.proto"],
        place.folder / "stubs.log")
    return stubs
