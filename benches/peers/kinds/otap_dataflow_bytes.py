"""OpenTelemetry's dataflow engine without a step that decodes: what its transport alone costs."""

from kinds import otap_dataflow
from rig.place import Place
from rig.server import Server


def prepare(place: Place) -> Server:
    made_at = Place("otap-dataflow", place.may_build)
    with made_at.locked():
        return otap_dataflow.server(
            place, made_at, "otap-dataflow-bytes.yaml",
            "takes OTLP logs as bytes and hands them, undecoded, to the noop exporter", decodes=False,
        )
