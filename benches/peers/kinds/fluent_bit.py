"""Fluent Bit (C): its OTLP input, which takes gRPC over HTTP/2, and the output that does nothing."""

from pathlib import Path

from rig.place import Place
from rig.server import Server, free_port
from rig.source import built
from rig.tools import answer, cores, need, run, say

REPOSITORY = "https://github.com/fluent/fluent-bit"
TAG = "v5.1.1"

# A release build of the two plugins; what it leaves out is not on an event's way. SQLite isn't either, but 5.1.1 does
# not compile without it.
OPTIONS = [
    "FLB_RELEASE=On", "FLB_MINIMAL=On", "FLB_IN_OPENTELEMETRY=On", "FLB_OUT_NULL=On", "FLB_JEMALLOC=On",
    "FLB_CONFIG_YAML=On",
    "FLB_DEBUG=Off", "FLB_EXAMPLES=Off", "FLB_SHARED_LIB=Off", "FLB_LUAJIT=Off", "FLB_WASM=Off", "FLB_KAFKA=Off",
    "FLB_SQLDB=On", "FLB_PREFER_SYSTEM_LIB_SQLITE=On", "FLB_ZIG=Off", "FLB_PROXY_GO=Off", "FLB_CHUNK_TRACE=Off",
]

DEBIAN_PACKAGES = ["cmake", "flex", "bison", "libyaml-dev", "libssl-dev", "libsqlite3-dev", "pkg-config"]


def prepare(place: Place) -> Server:
    program = place.by_hand() or built(
        place, REPOSITORY, TAG, " ".join(OPTIONS), lambda source, into: _build(place, source, into)
    )
    port = free_port()
    return Server(
        command=[program, "--config", place.config("fluent-bit.yaml", port=port), "--quiet"],
        address=f"127.0.0.1:{port}",
        protocol="otlp-grpc",
        version=answer(program, "--version"),
        does="decodes OTLP logs, packs each as a MessagePack record into a chunk, hands chunks to the null output",
    )


def _build(place: Place, source: Path, into: Path) -> Path:
    need(
        f"on Debian: apt-get install {' '.join(DEBIAN_PACKAGES)}; or set {place.variable}",
        "cmake", "make", "cc", "c++", "flex", "bison", "pkg-config",
    )
    log = place.folder / "build.log"
    say(f"{place.name}: building, which takes some minutes; see {log}")
    run(["cmake", "-S", source, "-B", into, *(f"-D{option}" for option in OPTIONS)], log)
    run(["cmake", "--build", into, "--target", "fluent-bit-bin", "--parallel", str(cores())], log)
    return into / "bin" / "fluent-bit"
