"""OpenTelemetry's dataflow engine (Rust, tonic): its OTLP receiver, a step that decodes, an exporter of nothing.

The receiver alone hands the message on as bytes, undecoded. To do what the others do, a processor stands between it and
the exporter that needs Arrow records: it looks for an attribute that no event has.
"""

import os
import subprocess
from pathlib import Path

from rig.place import Place
from rig.problems import Broken, Missing
from rig.server import Server, free_port
from rig.source import built
from rig.tools import answer, cores, need, run, say, tail

REPOSITORY = "https://github.com/open-telemetry/otel-arrow"
TAG = "v0.51.0"
FEATURES = "jemalloc,crypto-ring"


def prepare(place: Place) -> Server:
    return server(
        place, place, "otap-dataflow.yaml",
        "takes OTLP logs as bytes, decodes them into Arrow records for a processor that looks for an attribute and "
        "finds none, hands them to the noop exporter",
    )


def server(place: Place, made_at: Place, config: str, does: str, decodes: bool = True) -> Server:
    """Also of the peer that does without the processor."""
    program = made_at.by_hand() or built(
        made_at, REPOSITORY, TAG, FEATURES, lambda source, into: _build(made_at, source, into)
    )
    address = f"127.0.0.1:{free_port()}"
    return Server(
        command=[
            program, "--config", place.config(config, address=address),
            "--http-admin-bind", f"127.0.0.1:{free_port()}",
        ],
        address=address,
        protocol="otlp-grpc",
        version=answer(program, "--version"),
        does=does,
        decodes=decodes,
    )


def _build(place: Place, source: Path, into: Path) -> Path:
    need("install Rust with cargo", "cargo")
    workspace = source / "rust" / "otap-dataflow"
    # It pins a toolchain that would have to be fetched; the one that builds the gateway takes it, too.
    toolchain = os.environ.get("RUSTUP_TOOLCHAIN") or _toolchain()
    environment = {"CARGO_TARGET_DIR": str(into), "RUSTUP_TOOLCHAIN": toolchain}
    log = place.folder / "build.log"
    try:
        run(["cargo", "fetch", "--locked"], log, environment, cwd=workspace)
    except Broken as broken:
        raise Missing(
            f"cargo can't fetch what {REPOSITORY} {TAG} depends on, some of it from GitHub ({tail(log, 1).strip()}); "
            f"set {place.variable} to a df_engine built elsewhere"
        ) from broken
    say(f"{place.name}: building, which takes many minutes; see {log}")
    run(
        ["cargo", "build", "--locked", "--release", "--no-default-features", "--features", FEATURES,
         "--bin", "df_engine", "--jobs", str(cores())],
        log, environment, cwd=workspace,
    )
    return into / "release" / "df_engine"


def _toolchain() -> str:
    # The first word of `rustup show active-toolchain`; without rustup the variable has no effect.
    try:
        shown = subprocess.run(["rustup", "show", "active-toolchain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "stable"
    return shown.stdout.split()[0]
