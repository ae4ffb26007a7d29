"""`python -m thresher.lineage.sender`: makes events of what it reads, a line each, and sends them.

It ends when there is nothing more to read. What went wrong is printed, for the run to tell; events that could not be
sent are kept in the lake. When the run has not told its end by then, it was killed, and is reported as aborted.
"""

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thresher.secrets.leaks import Secrets

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

    from thresher.lineage.events import Events

UNSENT = "lineage-unsent.jsonl"
_MOST_FAILURES = 3


class Sender:
    """Sends events one by one; after three failures in a row nobody is there, and the rest is only kept."""

    def __init__(self, began: dict[str, Any], secrets: Secrets) -> None:
        from thresher.lineage.transport import Gate, Lines, open_client

        self._secrets = secrets
        self._file = Path(began["lake"]) / "_runs" / began["id"] / UNSENT
        self._kept = Gate(Lines(self._file), secrets)
        self._failures = 0
        self.total = 0
        self.unsent = 0
        self.trouble = ""
        try:
            self._client = open_client(began["to"], Path(began["project"]), secrets)
        except Exception as error:  # whatever the settings ask for
            self._failures, self.trouble = _MOST_FAILURES, str(error) or repr(error)

    def send(self, event: "RunEvent") -> None:
        """Send an event, or keep it."""
        self.total += 1
        if self._failures < _MOST_FAILURES:
            try:
                self._client.emit(event)
                self._failures = 0
                return
            except Exception as error:  # of whatever transport
                self._failures += 1
                self.trouble = self.trouble or str(error) or repr(error)
        self.unsent += 1
        try:
            self._kept.emit(event)
        except OSError as error:
            self.trouble += f"; nor was it kept: {error}"

    def close(self) -> str:
        """Wait for a transport that sends later; what is to be told, if anything."""
        if self._failures < _MOST_FAILURES:
            self._client.close(30.0)
        if not self.unsent:
            return ""
        trouble = self._secrets.hide(self.trouble)
        return f"{self.unsent} of {self.total} events were not sent, and are kept in {self._file}: {trouble}"


def main() -> int:
    """Read until the end of input: a line with the run's secrets, which is all that ever holds them, then the rest."""
    os.nice(10)  # the run comes first
    # The client's own log would say again, and at length, what is told at the end.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    messages = map(json.loads, sys.stdin.buffer)
    secrets = Secrets(next(messages, None))
    began = next(messages, None)
    if began is None:
        return 0
    try:
        from thresher.lineage.events import Events
    except ModuleNotFoundError as error:
        sys.stdout.write(f"nothing was sent: {error.name} is missing; run: pip install 'thresher[lineage]'")
        for _ in messages:
            pass
        return 0
    sender, events = Sender(began, secrets), Events(began)
    for event in _events(events, began, messages):
        sender.send(event)
    sys.stdout.write(sender.close())
    return 0


def _events(events: "Events", began: dict[str, Any], messages: Iterator[dict[str, Any]]) -> Iterator["RunEvent"]:
    yield events.run_event(began)
    for message in messages:
        if message["what"] == "step began":
            yield events.step_began(message)
        elif message["what"] == "step ended":
            if event := events.step_ended(message):
                yield event
        else:
            yield events.run_event(message)
            return
    yield from events.aborted(datetime.now(UTC).isoformat())


if __name__ == "__main__":
    sys.exit(main())
