"""OpenLineage events of a run: what they say, where they go, and that no run fails or waits for them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import pytest
from rich.console import Console

from thresher import dedupe, flatten
from thresher.lake import Lake
from thresher.lineage.columns import Origin
from thresher.lineage.steps import Step
from thresher.runner import run

PARAMETERS = """\
from thresher import Landing, Secret
lake: str = 'lake'
source: Landing | None = None
query: str = ''
sources: list[str] = []
target: str = ''
fails: bool = False
password: Secret | None = None
"""
LOAD = """\
import thresher as th, time, os
lake = th.Lake(lake)
rows = th.query(lake, query, sources=sources) if query else [{"id": 1, "price": 2.5}, {"id": None, "price": 4.0}]
lake.write(target, rows)
if fails and os.path.exists("slow"):
    time.sleep(60)
assert not fails, "no such luck"
th.Counts(target, 2, 2)
"""
PIPELINE = """\
name: shop
description: A shop
params: {fails: false}
steps:
  load: {notebook: notebooks/load.ipynb, with: {source: "in/*.csv"}, writes: {target: raw.sale}}
  sum:
    notebook: notebooks/load.ipynb
    reads: {sources: [raw.sale]}
    with: {query: "select id, price * 2 as twice, 1 as one from raw.sale", fails: "${fails}"}
    writes: {target: mart.sale}
"""


YML = "lineage: {to: events/lineage.jsonl}\n"


def set_up(patch: pytest.MonkeyPatch, root: Path) -> None:
    patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
    for name in [name for name in os.environ if name.startswith(("OPENLINEAGE_", "THRESHER_"))]:
        patch.delenv(name)
    patch.chdir(root)
    (root / "thresher.yml").write_text(YML)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A project whose lake a run has filled, and the events of that run; another run has nothing to do."""
    root = tmp_path_factory.mktemp("lineage")
    for folder in ("pipelines", "notebooks", "in"):
        (root / folder).mkdir()
    parameters = nbformat.v4.new_code_cell(PARAMETERS.partition("\n")[2], metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_code_cell(PARAMETERS.partition("\n")[0]), parameters, nbformat.v4.new_code_cell(LOAD)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "notebooks" / "load.ipynb")
    (root / "in" / "a.csv").write_text("id\n")
    (root / "pipelines" / "shop.yml").write_text(PIPELINE)
    with pytest.MonkeyPatch.context() as patch:
        set_up(patch, root)
        go(root)
    return root, events(root / "events" / "lineage.jsonl")


@pytest.fixture
def project(filled: tuple[Path, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> Path:
    root, _ = filled
    set_up(monkeypatch, root)
    (root / "events" / "lineage.jsonl").unlink(missing_ok=True)
    return root


@pytest.fixture
def service() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A local service that takes events, and what it has taken."""
    taken: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            taken.append({**body, "path": self.path, "authorization": self.headers.get("Authorization")})
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()


def events(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def brief(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["eventType"], event["job"]["name"]) for event in found]


def go(project: Path, pipeline: str = "shop", **options: Any) -> tuple[Any, str]:
    """A run, and what it said."""
    said = StringIO()
    options = {"lake": project / "lake", **options}
    found = run(pipeline, console=Console(file=said, width=300), **options)
    return found.run, said.getvalue()


GOOD = [("START", "shop"), ("START", "shop.load"), ("COMPLETE", "shop.load"), ("START", "shop.sum")]
GOOD += [("COMPLETE", "shop.sum"), ("COMPLETE", "shop")]
IDLE = [("START", "shop"), ("COMPLETE", "shop")]


def test_a_file_gets_an_event_a_line(filled: tuple[Path, list[dict[str, Any]]], project: Path) -> None:
    _, found = filled
    assert brief(found) == GOOD
    whole, load, summed = found[-1], found[2], found[4]
    assert {event["schemaURL"] for event in found} == {
        "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
    }
    assert {event["job"]["namespace"] for event in found} == {project.name}
    assert whole["job"]["facets"]["documentation"]["description"] == "A shop"
    parent = summed["run"]["facets"]["parent"]
    assert (parent["run"]["runId"], parent["job"]["name"]) == (whole["run"]["runId"], "shop")
    assert len({event["run"]["runId"] for event in found}) == 3

    landed = load["inputs"][0]
    assert (landed["namespace"], landed["name"]) == ("file", f"{project}/in/*.csv")
    assert landed["inputFacets"]["inputStatistics"]["fileCount"] == 1
    assert landed["inputFacets"]["inputStatistics"]["size"] == 3

    (read,), (written,) = summed["inputs"], summed["outputs"]
    lake = (project / "lake").as_uri()
    assert (read["namespace"], read["name"]) == (lake, "raw.sale")
    assert read["facets"]["version"]["datasetVersion"] == "0"
    assert [(each["name"], each["type"]) for each in read["facets"]["schema"]["fields"]] == [
        ("id", "bigint"),
        ("price", "double"),
    ]
    assert written["name"] == "mart.sale"
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 2
    columns = written["facets"]["columnLineage"]["fields"]
    origins = {
        column: [
            (each["namespace"], each["name"], each["field"], each["transformations"][0]["subtype"])
            for each in fields["inputFields"]
        ]
        for column, fields in columns.items()
    }
    assert origins == {
        "id": [(lake, "raw.sale", "id", "IDENTITY")],
        "twice": [(lake, "raw.sale", "price", "TRANSFORMATION")],
    }
    assert summed["job"]["facets"]["sql"]["query"] == "select id, price * 2 as twice, 1 as one from raw.sale"
    assert summed["job"]["facets"]["sourceCodeLocation"]["path"] == "notebooks/load.ipynb"

    # A step that is skipped did nothing; the next run is another one.
    go(project)
    again = events(project / "events" / "lineage.jsonl")
    assert brief(again) == IDLE
    assert again[0]["run"]["runId"] == again[1]["run"]["runId"] != whole["run"]["runId"]


def test_columns_come_from_where_documents_and_duplicates_were(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    book = "<a><book isbn='7'><title>Optics</title></book><book/></a>"
    lake.write("raw.a", [{"id": 1, "doc": book}, {"id": 1, "doc": book}, {"id": 2, "doc": None}])
    lake.write("curated.a", dedupe.exact(lake.read("raw.a")).kept)
    flatten.documents(lake, "curated.a", "curated.b", "doc", into="parsed", key=["id"])

    def columns(name: str) -> dict[str, str]:
        return {field.name: str(field.type) for field in lake.schema(name)}

    def derived(code: str, source: str, *targets: str, **arguments: object) -> dict[str, dict[str, list[Origin]]]:
        given = {"source": source, "target": targets[0], **arguments}
        read, written = {source: columns(source)}, {name: columns(name) for name in targets}
        return Step(given, code, query="", read=read, written=written, lake=tmp_path).origins()

    same = {name: [Origin("raw.a", name, is_identity=True)] for name in ("id", "doc")}
    assert derived("kept = th.dedupe.exact(rows).kept", "raw.a", "curated.a", keys=[]) == {"curated.a": same}
    assert derived("mine(rows)", "raw.a", "curated.a", keys=[]) == {}

    code, given = "th.flatten.documents(lake, source)", {"column": "doc", "into": "parsed", "key": ["id"]}
    key, document = Origin("curated.a", "id", is_identity=False), Origin("curated.a", "doc", is_identity=False)
    assert derived(code, "curated.a", "curated.b", "curated.b_book", **given) == {
        "curated.b": {
            "id": [Origin("curated.a", "id", is_identity=True)],
            "parsed": [document],
            "_key": [key],
            "_rescued": [document],
        },
        "curated.b_book": {
            "_key": [key],
            "_parent_key": [key],
            "_row_key": [key],
            "_ordinal": [document],
            "isbn": [Origin("curated.a", "doc", False, "/a/book/@isbn")],
            "title": [Origin("curated.a", "doc", False, "/a/book/title")],
        },
    }


def test_a_step_that_fails_says_why(project: Path, tmp_path: Path) -> None:
    go(project, params={"fails": True}, lake=tmp_path / "lake")
    found = events(project / "events" / "lineage.jsonl")
    assert brief(found)[-2:] == [("FAIL", "shop.sum"), ("FAIL", "shop")]
    error = found[-2]["run"]["facets"]["errorMessage"]
    assert (error["message"], error["programmingLanguage"]) == ("AssertionError: no such luck", "python")
    # The run that continues it goes on under its id.
    go(project, params={"fails": True}, lake=tmp_path / "lake")
    assert len({event["run"]["runId"] for event in events(project / "events" / "lineage.jsonl")}) == 3


def test_a_service_gets_them_by_http(
    project: Path, service: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, taken = service
    (project / "thresher.yml").write_text('lineage: {to: "${env:LINEAGE_TO}"}\n')
    monkeypatch.setenv("LINEAGE_TO", f"{url}/elsewhere")
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "hunter2")
    go(project)
    assert brief(taken) == IDLE
    assert {(each["path"], each["authorization"]) for each in taken} == {("/elsewhere", "Bearer hunter2")}


def test_the_variables_of_the_standard_are_heeded(
    project: Path, service: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, taken = service
    (project / "thresher.yml").write_text("")
    monkeypatch.setenv("OPENLINEAGE_URL", url)
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "shops")
    go(project)
    assert brief(taken) == IDLE
    assert {(each["path"], each["job"]["namespace"]) for each in taken} == {("/api/v1/lineage", "shops")}
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    go(project)
    assert len(taken) == len(IDLE)


def test_a_service_that_is_not_there_costs_no_run_and_no_event(project: Path) -> None:
    (project / "thresher.yml").write_text("lineage: {to: 'http://127.0.0.1:9'}\n")
    done, said = go(project)
    assert done.status == "succeeded"
    kept = project / "lake" / "_runs" / done.id / "lineage-unsent.jsonl"
    deadline = time.monotonic() + 20  # it may still be trying
    while not kept.exists() or len(events(kept)) < len(IDLE):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert brief(events(kept)) == IDLE
    assert f"lineage: 2 of 2 events were not sent, and are kept in {kept}: " in said or "is still sending it" in said


def test_a_file_that_cannot_be_written_costs_no_run(project: Path) -> None:
    (project / "thresher.yml").write_text("lineage: {to: in}\n")  # a folder
    done, said = go(project)
    assert done.status == "succeeded"
    assert "lineage: 2 of 2 events were not sent, and are kept in " in said and "Is a directory" in said


def test_an_address_that_is_not_known_costs_no_run(project: Path) -> None:
    (project / "thresher.yml").write_text('lineage: {to: "${env:GONE}"}\n')
    done, said = go(project)
    assert done.status == "succeeded"
    assert "lineage: nothing is sent: thresher.yml:1: lineage: to: ${env:GONE}: the environment has no GONE" in said


def test_no_event_shows_a_secret(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = PIPELINE.replace('fails: "${fails}"', 'fails: "${fails}", password: "${secret:WAREHOUSE}"')
    pipeline = pipeline.replace("1 as one", "'hunter2' as one").replace("name: shop", "name: secret")
    (project / "pipelines" / "secret.yml").write_text(pipeline)
    monkeypatch.setenv("THRESHER_SECRET_WAREHOUSE", "hunter2")
    go(project, "secret", lake=tmp_path / "lake")
    text = (project / "events" / "lineage.jsonl").read_text()
    assert "hunter2" not in text and "[secret WAREHOUSE]" in text


def test_no_event_shows_a_secret_in_the_name_of_a_column(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lake(tmp_path / "lake").write("raw.odd", [{"id": 1, "hunter2": 2}])
    pipeline = PIPELINE.replace('fails: "${fails}"', 'fails: "${fails}", password: "${secret:WAREHOUSE}"')
    pipeline = pipeline.replace("price * 2 as twice, 1 as one from raw.sale", "1 as one from raw.odd")
    pipeline = pipeline.replace("sources: [raw.sale]", "sources: [raw.odd]").replace("name: shop", "name: odd")
    (project / "pipelines" / "odd.yml").write_text(pipeline)
    monkeypatch.setenv("THRESHER_SECRET_WAREHOUSE", "hunter2")
    done, _ = go(project, "odd", lake=tmp_path / "lake")
    assert done.status == "succeeded"
    told = events(project / "events" / "lineage.jsonl")
    columns = {
        field["name"]
        for event in told
        for dataset in event["inputs"]
        if dataset["name"] == "raw.odd"
        for field in dataset["facets"]["schema"]["fields"]
    }
    assert columns == {"id", "[secret WAREHOUSE]"}
    assert "hunter2" not in json.dumps(told)


def test_a_run_that_is_killed_is_reported_as_aborted(project: Path, tmp_path: Path) -> None:
    (project / "slow").touch()
    file = project / "events" / "lineage.jsonl"
    command = [sys.executable, "-m", "thresher", "run", "shop", "-p", "fails=true", "--lake", str(tmp_path / "lake")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not file.exists() or brief(events(file))[-1] != ("START", "shop.sum"):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (project / "slow").unlink()
    while brief(events(file))[-1] != ("ABORT", "shop"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert brief(events(file))[-2:] == [("ABORT", "shop.sum"), ("ABORT", "shop")]
