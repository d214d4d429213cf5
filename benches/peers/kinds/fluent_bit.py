"""Fluent Bit (C): its OTLP input, which takes gRPC over HTTP/2, and the output that does nothing."""

from pathlib import Path

from rig.place import Place
from rig.server import Server, free_port
from rig.source import built
from rig.tools import answer, cores, need, run, say

REPOSITORY = "https://github.com/fluent/fluent-bit"
TAG = "v5.1.1"

# A release build of the two plugins; what it leaves out is not on an event's way.
OPTIONS = [
    "FLB_RELEASE=On", "FLB_MINIMAL=On", "FLB_IN_OPENTELEMETRY=On", "FLB_OUT_NULL=On", "FLB_JEMALLOC=On", "FLB_CONFIG_YAML=On",
    "FLB_DEBUG=Off", "FLB_EXAMPLES=Off", "FLB_SHARED_LIB=Off", "FLB_LUAJIT=Off", "FLB_WASM=Off", "FLB_KAFKA=Off",
    "FLB_SQLDB=Off", "FLB_ZIG=Off", "FLB_PROXY_GO=Off", "FLB_CHUNK_TRACE=Off",
]


def prepare(place: Place) -> Server:
    program = place.by_hand() or built(place, REPOSITORY, TAG, lambda source, into: _build(place, source, into))
    port = free_port()
    return Server(
        command=[program, "--config", place.config("fluent-bit.yaml", port=port), "--quiet"],
        address=f"127.0.0.1:{port}",
        protocol="otlp-grpc",
        version=answer(program, "--version"),
        does="decodes OTLP logs, packs each as a MessagePack record into a chunk, hands chunks to the null output",
    )


def _build(place: Place, source: Path, into: Path) -> Path:
    mend = f"on Debian: apt-get install cmake flex bison libyaml-dev libssl-dev pkg-config; or set {place.variable}"
    need(mend, "cmake", "make", "cc", "c++", "flex", "bison", "pkg-config")
    log = place.folder / "build.log"
    say(f"{place.name}: building, which takes some minutes; see {log}")
    run(["cmake", "-S", source, "-B", into, *(f"-D{option}" for option in OPTIONS)], log)
    run(["cmake", "--build", into, "--target", "fluent-bit-bin", "--parallel", str(cores())], log)
    return into / "bin" / "fluent-bit"
