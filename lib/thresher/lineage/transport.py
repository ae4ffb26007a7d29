"""Where events go: a file, a service, or what the OpenLineage client's own settings say."""

import fcntl
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openlineage.client import OpenLineageClient
from openlineage.client.serde import Serde
from openlineage.client.transport import Transport
from openlineage.client.transport.http import HttpConfig, HttpTransport

_ENDPOINT = "api/v1/lineage"
_RETRY = {"total": 2, "connect": 2, "backoff_factor": 0.3}


class Lines(Transport):
    """A file with an event a line. Whole lines only, whoever else appends to it, and when the disk is full."""

    kind = "lines"

    def __init__(self, file: Path) -> None:
        self.file = file

    def emit(self, event: Any) -> None:
        """Append one event. Raises OSError."""
        line = Serde.to_json(event).encode() + b"\n"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file, "ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            end = os.fstat(file.fileno()).st_size
            written = 0
            try:
                written = file.write(line) or 0
            finally:
                if written < len(line):
                    os.truncate(self.file, end)
            if written < len(line):
                raise OSError(f"{self.file} took {written} of {len(line)} bytes; is the disk full?")


def open_client(to: str, project: Path) -> OpenLineageClient:
    """A client that sends to an http address or a file; with "", to what OPENLINEAGE_… and openlineage.yml say."""
    if not to:
        return OpenLineageClient()
    if to.startswith(("http://", "https://")):
        return OpenLineageClient(transport=HttpTransport(_http(to)))
    return OpenLineageClient(transport=Lines(project / Path(to.removeprefix("file://")).expanduser()))


def _http(to: str) -> HttpConfig:
    parts = urlsplit(to)
    settings: dict[str, Any] = {"type": "http", "url": f"{parts.scheme}://{parts.netloc}", "retry": _RETRY}
    settings["endpoint"] = parts.path.strip("/") or _ENDPOINT
    if key := os.environ.get("OPENLINEAGE_API_KEY"):
        settings["auth"] = {"type": "api_key", "apiKey": key}
    return HttpConfig.from_dict(settings)
