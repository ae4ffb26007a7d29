"""Sends what a run's end gives reason for, through apprise, which knows mail, chats and webhooks by URL.

A notice that cannot be sent changes nothing about the run: that is told and kept in the ledger's table
thresher_notices.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from thresher.errors import UsageError
from thresher.ledger import Ledger, Run, Utc
from thresher.notices.message import Message, about_refusal, about_run
from thresher.notices.recipients import FAILURE, RECOVERY, SLOW, Recipient, read_recipients
from thresher.overrides import recipients
from thresher.parameters.references import fill, replace_secrets, secret_names
from thresher.pipeline_file import Problems, read
from thresher.secrets.store import find

_BAD = ("failed", "interrupted")
_GOOD = ("succeeded", "skipped")

# apprise logs what it sends, and where to; what matters of it is in the result.
logging.getLogger("apprise").addHandler(logging.NullHandler())

_metadata = sa.MetaData()
_notices = sa.Table(
    "thresher_notices",
    _metadata,
    sa.Column("run_id", sa.String(160), primary_key=True),
    sa.Column("event", sa.String(16), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),  # of the entry under `notify`
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("sent_at", Utc, nullable=False),
    sa.Column("error", sa.Text),
)


@dataclass(frozen=True)
class Notice:
    """A notice as the ledger keeps it; `error` tells why it was not sent."""

    run_id: str
    event: str
    place: int
    service: str
    sent_at: datetime
    error: str | None


def after_run(
    run_id: str,
    previous: Run | None,
    recipients: Iterable[Recipient],
    lake: Path,
    ledger: Ledger,
    say: Callable[[str], None],
) -> None:
    """Send the notices that a run's end gives reason for. Never fails: `say` is told what could not be sent.

    `previous` is the run before, or this very one as it was before it was continued.
    """
    try:
        run = ledger.run(run_id)
        previous = _telling(previous, ledger, lake)
        for place, recipient in enumerate(recipients):
            for event in _events(run, previous, recipient):
                _send(place, recipient, event, about_run(run, event, previous, lake), run_id, ledger, say)
    except Exception as fault:  # whatever it is, the run has ended as it has
        say(f"notices of run {run_id} were not sent: {fault!r}")


def after_refusal(pipeline: Path, error: UsageError, ledger: Ledger, say: Callable[[str], None]) -> None:
    """Send the notices of an unattended run that was refused before it began, so that it is in no ledger."""
    try:
        problems = Problems(pipeline.name)
        text = read(pipeline, problems)
        at = f"{text.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-refused"
        for place, recipient in enumerate(recipients(read_recipients(text.notify, problems))):
            if FAILURE in recipient.on:
                _send(place, recipient, FAILURE, about_refusal(text.name, error), at, ledger, say)
    except Exception as fault:  # as above
        say(f"notices of pipeline {pipeline.name} were not sent: {fault!r}")


def sent(ledger: Ledger, run_id: str) -> list[Notice]:
    """The notices of a run, as the ledger keeps them."""
    query = sa.select(_notices).where(_notices.c.run_id == run_id).order_by(_notices.c.place, _notices.c.event)
    with ledger.transaction(_metadata) as connection:
        return [Notice(**row) for row in connection.execute(query).mappings()]


def _telling(previous: Run | None, ledger: Ledger, lake: Path) -> Run | None:
    """The run before, a cancelled one aside, which says nothing about the pipeline."""
    if previous is None or previous.status != "cancelled":
        return previous
    earlier = ledger.runs(previous.pipeline, limit=50, lake=lake)
    told = (each for each in earlier if each.started_at < previous.started_at and each.status != "cancelled")
    return next(told, None)


def _events(run: Run, previous: Run | None, recipient: Recipient) -> Iterator[str]:
    if run.status in _BAD and FAILURE in recipient.on:
        yield FAILURE
    if run.status in _GOOD and previous and previous.status in _BAD and RECOVERY in recipient.on:
        yield RECOVERY
    if recipient.slower_than_s is not None and (run.duration_s or 0) > recipient.slower_than_s:
        yield SLOW


def _send(
    place: int,
    recipient: Recipient,
    event: str,
    message: Message,
    run_id: str,
    ledger: Ledger,
    say: Callable[[str], None],
) -> None:
    error = _sending_error(recipient, event, message)
    if error:
        say(f"the notice of {event} to {recipient.service} was not sent: {error}")
    row = Notice(run_id, event, place, recipient.service, datetime.now(UTC), error)
    with ledger.transaction(_metadata) as connection:
        same = [_notices.c[name] == getattr(row, name) for name in ("run_id", "event", "place")]
        connection.execute(_notices.delete().where(*same))
        connection.execute(_notices.insert().values(vars(row)))


def _sending_error(recipient: Recipient, event: str, message: Message) -> str | None:
    """Send one message; why it was not sent. The URL stands in no reason, as it may hold a password."""
    from apprise import Apprise, NotifyFormat, NotifyType

    try:
        url = fill(recipient.to, {}, {}).value
        url = replace_secrets(url, {name: find(name) for name in secret_names(url)})
    except UsageError as error:
        return str(error)
    service = Apprise.instantiate(url)
    if service is None:
        return "apprise does not know such a URL; expected one of those at https://appriseit.com/services"
    is_html = service.resolve_format() == NotifyFormat.HTML
    kind = {FAILURE: NotifyType.FAILURE, RECOVERY: NotifyType.SUCCESS, SLOW: NotifyType.WARNING}[event]
    sender = Apprise()
    sender.add(service)
    body_format = NotifyFormat.HTML if is_html else NotifyFormat.TEXT
    body = message.html if is_html else message.text
    if not sender.notify(body=body, title=message.title, notify_type=kind, body_format=body_format):
        return "the service did not take it, or could not be reached"
    return None
