"""Vector (Rust, tonic): its OTLP source, and the sink that does nothing. By hand only."""

from rig.place import Place
from rig.problems import Missing
from rig.server import Server, free_port
from rig.tools import answer


def prepare(place: Place) -> Server:
    program = place.by_hand()
    if program is None:
        raise Missing(
            "no package registry has Vector (the crate of that name is another program), and it is not built here; "
            f"set {place.variable} to a vector from its project's releases"
        )
    address = f"127.0.0.1:{free_port()}"
    # Vector wants a folder for its state, though nothing here keeps any.
    state = place.folder / "state"
    state.mkdir(exist_ok=True)
    config = place.config("vector.yaml", address=address, http_address=f"127.0.0.1:{free_port()}", state=state)
    return Server(
        command=[program, "--config", config, "--quiet"],
        address=address,
        protocol="otlp-grpc",
        version=answer(program, "--version"),
        does="decodes OTLP logs, makes an event of each, hands them to the blackhole sink",
    )
