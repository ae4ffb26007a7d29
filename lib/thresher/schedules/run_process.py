"""A `thresher run` in a process that was started for it: what schedules and backfills have in common."""

import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import TextIO

import click

from thresher.errors import RunLocked, ThresherError, UsageError

SUCCEEDED, FAILED, REFUSED, CANCELLED = 0, 1, 2, 130
PUT_OFF = 75
"""Exit code where nothing ran: another run of the pipeline is at work, or another scheduler has taken over."""
STATUS = {SUCCEEDED: "succeeded", FAILED: "failed", REFUSED: "refused", CANCELLED: "cancelled", PUT_OFF: "put off"}


def prepare(label: str) -> None:
    """Let SIGTERM cancel, as Ctrl-C does, and every line of output begin with a label."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.stdout = _Labelled(sys.stdout, label)
    sys.stderr = _Labelled(sys.stderr, label)


def attempted(options: Sequence[str], *, is_waiting: bool = False) -> tuple[int, UsageError | None]:
    """The exit code of `thresher run` with these options, errors told, and why it was refused.

    PUT_OFF where another run of the pipeline is at work; who waits for that is not told again.
    """
    try:
        from thresher.cli import main as cli

        cli.run.main(list(options), standalone_mode=False)
    except RunLocked as error:
        if not is_waiting:
            click.echo(str(error), err=True)
        return PUT_OFF, None
    except UsageError as error:
        click.echo(f"error: {error}", err=True)
        return REFUSED, error
    except ThresherError as error:
        click.echo(f"error: {error}", err=True)
        return FAILED, None
    except click.ClickException as error:
        error.show()
        return error.exit_code, None
    except (KeyboardInterrupt, click.Abort):  # click makes the second of the first
        click.echo("cancelled", err=True)
        return CANCELLED, None
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED, None
    except Exception:  # a fault of ours: the run failed, and would again
        traceback.print_exc()
        return FAILED, None
    return SUCCEEDED, None


def status(code: int) -> str:
    """The word for how a process ended.

    >>> status(0), status(-9)
    ('succeeded', 'killed by signal 9')
    """
    return f"killed by signal {-code}" if code < 0 else STATUS.get(code, f"ended with exit code {code}")


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class _Labelled:
    """A stream whose lines begin with a label, for several runs write to one log."""

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream = stream
        self._label = label
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            # One write for what came together, so that lines of other processes do not come between.
            self._stream.write("".join(f"{self._label}: {line}\n" for line in lines))
            self._stream.flush()
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
