"""Rotel (Rust, tonic): its OTLP receiver, and the exporter that does nothing."""

import os

from rig import packages
from rig.place import CONFIGS, Place
from rig.server import Server, free_port
from rig.tools import answer


def prepare(place: Place) -> Server:
    program = place.by_hand()
    if program is None:
        python = packages.python(place, CONFIGS / "rotel-requirements.txt", "--no-deps")
        program = next(python.parent.parent.glob("lib/python*/site-packages/rotel/rotel-agent"))
    address = f"127.0.0.1:{free_port()}"
    return Server(
        command=[
            program, "start",
            "--otlp-grpc-endpoint", address,
            "--otlp-http-endpoint", f"127.0.0.1:{free_port()}",
            "--otlp-grpc-max-recv-msg-size-mib", "16",
            "--exporter", "blackhole",
            "--disable-batching",
        ],
        address=address,
        protocol="otlp-grpc",
        version=answer(program, "--version"),
        does="decodes OTLP logs into its own model, hands them through a queue to the blackhole exporter",
        environment={"RUST_LOG": os.environ.get("RUST_LOG", "error")},
    )
