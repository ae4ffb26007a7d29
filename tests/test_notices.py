"""Who is told of a run's end, what is told, and that a notice that cannot be sent changes nothing."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner

from thresher.cli.main import main
from thresher.errors import PipelineError
from thresher.ledger import Ledger
from thresher.notices.recipients import Recipient
from thresher.notices.sending import after_refusal, sent
from thresher.pipeline import load
from thresher.runner import run

pytest.importorskip("apprise")

PIPELINE = """\
name: orders
notify: {notify}
steps:
  load: {{notebook: notebooks/load.ipynb, always: true}}
"""


@pytest.fixture
def received() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A web server's port, and the JSON that is posted to it."""
    bodies: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, bodies
        server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("pipelines", "notebooks"):
        (tmp_path / folder).mkdir()
    parameters = nbformat.v4.new_code_cell("limit: int = 1", metadata={"tags": ["parameters"]})
    source = "import os\nif not os.path.exists('repaired'):\n    raise ValueError('row 7 <b>is</b> bad')"
    notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(source)])
    nbformat.write(notebook, tmp_path / "notebooks" / "load.ipynb")
    return tmp_path


def write(project: Path, notify: str) -> Path:
    file = project / "pipelines" / "orders.yml"
    file.write_text(PIPELINE.format(notify=notify))
    return file


def test_failure_recovery_and_slowness_are_told(
    project: Path, received: tuple[int, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, bodies = received
    monkeypatch.setenv("THRESHER_SECRET_TEAM", f"json://127.0.0.1:{port}/team")
    entries = f"[{{to: '${{secret:TEAM}}'}}, {{to: 'json://127.0.0.1:{port}/slow', on: slow, slower_than: 0.001s}}, "
    entries += f"{{to: 'json://127.0.0.1:{port}/?format=html'}}]"
    file = write(project, entries)
    failed = run(file, lake=project / "lake")
    assert [body["type"] for body in bodies] == ["failure", "warning", "failure"]
    assert bodies[0]["title"] == "orders failed"
    message = bodies[0]["message"]
    assert f"Run {failed.run.id} failed after" in message
    assert "Step load, cell [2] of notebooks/load.ipynb: ValueError: row 7 <b>is</b> bad" in message
    assert "    if not os.path.exists('repaired'):" in message
    assert "Traceback (most recent call last)" in message
    assert "\x1b" not in message
    shown = bodies[2]["message"]  # as HTML, where HTML is shown
    assert "row 7 &lt;b&gt;is&lt;/b&gt; bad" in shown
    assert "<pre " in shown
    assert "<b>" not in shown
    bodies.clear()

    (project / "repaired").touch()
    run(file, lake=project / "lake")
    assert [body["title"] for body in bodies][0] == "orders succeeded again"
    bodies.clear()
    run(file, lake=project / "lake")
    assert [body["type"] for body in bodies] == ["warning"]


def test_a_notice_that_cannot_be_sent_is_noted_and_changes_nothing(
    project: Path, received: tuple[int, list[dict[str, Any]]]
) -> None:
    (project / "repaired").touch()
    refused = "the service did not take it, or could not be reached"
    wrong = {
        f"json://127.0.0.1:{received[0]}/broken": ("json", refused),
        "json://user:hunter2@127.0.0.1:1/": ("json", refused),
        "${secret:NOWHERE}": ("secret", "secret NOWHERE is missing"),
        "nonsense://x": ("nonsense", "apprise does not know such a URL"),
    }
    entries = [f"{{to: '{to}', slower_than: 0.001s}}" for to in wrong]
    file = write(project, f"[{', '.join(entries)}]")
    result = run(file, lake=project / "lake")
    assert (result.run.status, result.exit_code) == ("succeeded", 0)
    with closing(Ledger.of_lake(project / "lake")) as ledger:
        notices = sent(ledger, result.run.id)
    for notice, (service, reason) in zip(notices, wrong.values(), strict=True):
        assert (notice.event, notice.service) == ("slow", service)
        assert notice.error is not None and notice.error.startswith(reason)
    assert "hunter2" not in str(notices)

    told = CliRunner().invoke(main, ["runs", "show", "latest", "--lake", str(project / "lake")]).output
    assert f"notice of slow to json was not sent: {refused} at " in told
    assert "hunter2" not in told
    as_json = CliRunner().invoke(main, ["runs", "show", "latest", "--lake", str(project / "lake"), "--json"]).output
    assert [each["service"] for each in json.loads(as_json)["notices"]] == ["json", "json", "secret", "nonsense"]


def test_a_run_that_was_refused_is_told(project: Path, received: tuple[int, list[dict[str, Any]]]) -> None:
    port, bodies = received
    file = write(project, f"[{{to: 'json://127.0.0.1:{port}/'}}]")
    after_refusal(file, PipelineError("pipelines/orders.yml:3: no notebook"), Ledger.of_lake(project), print)
    assert (bodies[0]["title"], bodies[0]["type"]) == ("orders did not begin", "failure")
    assert "pipelines/orders.yml:3: no notebook" in bodies[0]["message"]


@pytest.mark.parametrize(
    ("notify", "message"),
    [
        ("[slack]", "2: notify: found text ('slack'), expected a mapping with to and on"),
        ("[{on: failure}]", "2: notify: to is missing, expected a URL such as mailto://… or ${secret:NAME}"),
        ("[{to: team}]", "2: notify: to: found text ('team'), expected a URL such as mailto://… or ${secret:NAME}"),
        (
            "[{to: 'json://x', on: [failed]}]",
            "2: notify: on: found a list (['failed']), expected some of: failure, recovery, slow",
        ),
        (
            "[{to: 'json://x', on: slow}]",
            "2: notify: on: slow and slower_than go together, such as on: [failure, slow], slower_than: 10m",
        ),
        (
            "[{to: 'json://x', slower_than: soon}]",
            "2: notify: slower_than: found 'soon', expected a duration such as 90s, 30m, 2h or 1d",
        ),
        ("[{to: 'json://x', when: failure}]", "2: notify: unknown key 'when'. Expected one of: to, on, slower_than."),
    ],
)
def test_a_bad_recipient_is_refused_by_line(project: Path, notify: str, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        load(write(project, notify), exists=lambda _: False)
    assert str(caught.value) == f"pipelines/orders.yml:{message}"


def test_recipients_are_read(project: Path) -> None:
    pipeline = load(write(project, "[{to: 'json://x'}, {to: 'json://y', slower_than: 10m}]"), exists=lambda _: False)
    assert pipeline.notify == (
        Recipient("json://x", ("failure", "recovery")),
        Recipient("json://y", ("failure", "recovery", "slow"), 600.0),
    )
