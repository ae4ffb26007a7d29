"""Where events go: a file, a service, or what the OpenLineage client's own settings say."""

import copy
import fcntl
import os
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attr
from openlineage.client import OpenLineageClient
from openlineage.client.serde import Serde
from openlineage.client.transport import Transport
from openlineage.client.transport.http import HttpConfig, HttpTransport

from thresher.secrets.leaks import Secrets

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


class Gate(Transport):
    """Hides secrets in events, whole as they are about to leave, whoever put them in: a column of a table, too."""

    def __init__(self, inner: Transport, secrets: Secrets) -> None:
        self.kind = inner.kind
        self._inner = inner
        self._secrets = secrets

    def emit(self, event: Any) -> None:
        """Send one event."""
        self._inner.emit(_hidden(event, self._secrets))

    def close(self, timeout: float = -1) -> bool:
        """Wait until all is sent, as the inner one does."""
        return self._inner.close(timeout)


def open_client(to: str, project: Path, secrets: Secrets) -> OpenLineageClient:
    """A client that sends to an http address or a file; with "", to what OPENLINEAGE_… and openlineage.yml say."""
    client = _client(to, project)
    if client.transport:
        client.transport = Gate(client.transport, secrets)
    return client


def _client(to: str, project: Path) -> OpenLineageClient:
    if not to:
        return OpenLineageClient()
    if to.startswith(("http://", "https://")):
        return OpenLineageClient(transport=HttpTransport(_http(to)))
    return OpenLineageClient(transport=Lines(project / Path(to.removeprefix("file://")).expanduser()))


def _hidden(value: Any, secrets: Secrets) -> Any:
    """A copy of an event, or a part of it, without secrets."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, list):
        return [_hidden(each, secrets) for each in value]
    if isinstance(value, dict):
        return {secrets.hide_in(key): _hidden(each, secrets) for key, each in value.items()}
    if not attr.has(type(value)):
        return secrets.hide_in(value)
    found = copy.copy(value)
    for field in attr.fields(type(value)):
        # Past the validators: a field that held a secret may look like nothing that it should.
        object.__setattr__(found, field.name, _hidden(getattr(value, field.name), secrets))
    return found


def _http(to: str) -> HttpConfig:
    parts = urlsplit(to)
    settings: dict[str, Any] = {"type": "http", "url": f"{parts.scheme}://{parts.netloc}", "retry": _RETRY}
    settings["endpoint"] = parts.path.strip("/") or _ENDPOINT
    if key := os.environ.get("OPENLINEAGE_API_KEY"):
        settings["auth"] = {"type": "api_key", "apiKey": key}
    return HttpConfig.from_dict(settings)
