"""What a fork server and those who ask it for kernels send each other: one JSON object a message, and open files."""

import array
import json
import socket
from typing import Any

MOST_BYTES = 160_000  # of one message; the system's limit on a local socket is about 212,000 by default
ASK, STATUS, CLOSE, KILL = "ask", "status", "close", "kill"  # of a server itself, instead of a kernel
_FILES = 2


def send(connection: socket.socket, message: dict[str, Any], files: tuple[int, ...] = ()) -> None:
    """Send a message, with open files by their descriptors. Raises OSError, also for what is too long."""
    data = json.dumps(message).encode()
    if len(data) > MOST_BYTES:
        raise OSError(f"a message of {len(data):,} bytes; at most {MOST_BYTES:,} can be sent")
    socket.send_fds(connection, [data], list(files))


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message and the files that came with it; None when the other side is gone."""
    size = socket.CMSG_LEN(_FILES * array.array("i").itemsize)
    data, rest, _, _ = connection.recvmsg(MOST_BYTES + 1, size)
    files = array.array("i")
    for level, kind, content in rest:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(content[: len(content) - len(content) % files.itemsize])
    return (json.loads(data), list(files)) if data else None
