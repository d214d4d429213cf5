"""A server's life: started on a loopback port, announced when it takes calls, ended when standard input ends.

It also ends when this process does, however that ends. Linux only.
"""

import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from rig.place import Place
from rig.problems import Broken
from rig.tools import tail

# Seconds. A server that compiles or loads much at its start has it done in one or two.
START_DEADLINE = 30.0
END_DEADLINE = 5.0

# RFC 9113, 3.4: a client's preface, then a SETTINGS frame, here an empty one. The server's first frame is SETTINGS too.
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS_FRAME = 4

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Server:
    """How it is started and what is told of it."""

    command: list
    address: str
    protocol: str
    version: str
    does: str
    # Whether it looks into messages at all.
    decodes: bool = True
    environment: dict[str, str] = field(default_factory=dict)


def free_port() -> int:
    """A loopback port that is free now. Should another process take it first, the server does not start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(server: Server, place: Place) -> None:
    """Returns when standard input has ended and the server with it."""
    process = _start(server, place.log)
    try:
        _wait_until_ready(server, process, place.log)
        told = {"pid": process.pid}
        told |= {key: getattr(server, key) for key in ("address", "protocol", "version", "does", "decodes")}
        print(json.dumps(told), flush=True)
        _wait_for_end_of_input(process, place.log)
    finally:
        _end(process)


def _start(server: Server, log: Path) -> subprocess.Popen:
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def end_with_parent() -> None:
        # prctl(2): the signal that this process gets when its parent ends. It may have ended already.
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    with open(log, "wb") as output:
        try:
            return subprocess.Popen(
                [str(part) for part in server.command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=os.environ | server.environment, cwd=log.parent, preexec_fn=end_with_parent,
            )
        except OSError as error:
            raise Broken(f"{server.command[0]} does not start: {error}") from error


def _wait_until_ready(server: Server, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while not _speaks_http2(server.address):
        if process.poll() is not None:
            raise Broken(f"the server ended with {process.returncode} at its start:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise Broken(f"the server did not start within {START_DEADLINE:.0f} s:\n{tail(log)}")
        time.sleep(0.02)


def _speaks_http2(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1) as connection:
            connection.sendall(HTTP2_PREFACE)
            head = connection.recv(9, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(head) == 9 and head[3] == SETTINGS_FRAME


def _wait_for_end_of_input(process: subprocess.Popen, log: Path) -> None:
    server_end = os.pidfd_open(process.pid)
    # poll(2): unlike epoll(7), it takes files and /dev/null, too.
    with selectors.PollSelector() as waiting:
        waiting.register(sys.stdin.fileno(), selectors.EVENT_READ)
        waiting.register(server_end, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fd == server_end:
                    raise Broken(f"the server ended by itself, with {process.wait()}:\n{tail(log)}")
                if not os.read(key.fd, 4096):
                    return


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(END_DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
