"""What a notice says: title, text and HTML, with the failing cell and its traceback."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from thresher.ledger import Run, StepRun
from thresher.running.progress import without_codes
from thresher.templates import shown_duration

_MAX_CHARACTERS = 4_000


@dataclass(frozen=True)
class Message:
    """A notice in both forms; services take the one that they show."""

    title: str
    text: str
    html: str


def about_run(run: Run, event: str, previous: Run | None, lake: Path) -> Message:
    """The message about a run that ended: what happened, and for each failed step the cell where it stopped."""
    took = f" after {shown_duration(run.duration_s)}" if run.duration_s is not None else ""
    title = {
        "failure": f"{run.pipeline} {run.status}",
        "recovery": f"{run.pipeline} succeeded again",
        "slow": f"{run.pipeline} took {shown_duration(run.duration_s)}",
    }[event]
    blocks = [f"Run {run.id} {run.status}{took}, begun {run.started_at:%Y-%m-%d %H:%M} UTC."]
    if event == "recovery" and previous:
        blocks.append(f"The run before, {previous.id}, {previous.status}: {_line(previous.error)}")
    steps = [step for step in run.steps if step.status in ("failed", "interrupted")]
    message = Message(title, "\n".join(blocks), _paragraphs(blocks))
    if run.status in ("succeeded", "skipped"):
        return message
    if not steps and run.error:
        return _joined(message, _told(_line(run.error)))
    for step in steps:
        message = _joined(message, _about_step(step, lake))
    return message


def about_refusal(pipeline: str, error: Exception) -> Message:
    """The message about a run that was refused before it began."""
    title, text = f"{pipeline} did not begin", f"The run was refused; nothing was written.\n{error}"
    return Message(title, text, _paragraphs(text.splitlines()))


def _about_step(step: StepRun, lake: Path) -> Message:
    cell = _failing_cell(lake / step.executed) if step.executed else None
    where = f", cell [{cell['execution_count'] or '–'}]" if cell else ""
    told = _told(f"Step {step.name}{where} of {step.notebook}: {_line(step.error)}")
    if cell is None:
        return told
    source, traceback = _shortened("".join(cell["source"])), _shortened(_traceback(cell))
    text = "\n".join(["", *(f"    {line}" for line in source.splitlines()), "", traceback]).rstrip()
    pre = Markup('<pre style="background:#f4f4f4;padding:8px;overflow:auto">{}</pre>')
    html = pre.format(source) + (pre.format(traceback) if traceback else Markup())
    return _joined(told, Message("", text, html))


def _failing_cell(notebook: Path) -> Mapping[str, Any] | None:
    """The cell of an executed notebook that raised, or at which the kernel died."""
    try:
        cells = [cell for cell in json.loads(notebook.read_bytes())["cells"] if cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError):
        return None
    raised = (cell for cell in cells if any(output["output_type"] == "error" for output in cell["outputs"]))
    unfinished = (
        cell for cell in cells if cell["metadata"].get("papermill", {}).get("status") in ("running", "failed")
    )
    return next(raised, None) or next(unfinished, None)


def _traceback(cell: Mapping[str, Any]) -> str:
    errors = (output for output in cell["outputs"] if output["output_type"] == "error")
    return "\n".join("\n".join(error["traceback"]) for error in errors)


def _line(text: str | None) -> str:
    """The first line of an error, without what would steer a terminal."""
    return without_codes((text or "").strip()).partition("\n")[0]


def _shortened(text: str) -> str:
    text = without_codes(text)
    return text if len(text) <= _MAX_CHARACTERS else f"…\n{text[-_MAX_CHARACTERS:]}"


def _told(line: str) -> Message:
    return Message("", line, _paragraphs([line]))


def _joined(first: Message, second: Message) -> Message:
    return Message(first.title, f"{first.text}\n{second.text}", first.html + second.html)


def _paragraphs(lines: list[str]) -> Markup:
    return Markup().join(Markup("<p>{}</p>").format(line) for line in lines)
