"""The commands that look at what was loaded and refused, and another try after a fix."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from thresher import ingest
from thresher.cli.main import main
from thresher.errors import DatasetNotFound, UsageError
from thresher.ingest.file_ledger import FileLedger
from thresher.ingest.retrying import retry
from thresher.lake import Lake

ROOT = Path(__file__).resolve().parent.parent

embedded_only = pytest.mark.parametrize("engine", ["duckdb"], indirect=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def call(lake: Lake, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--lake", str(lake.path)])


def load(lake: Lake, folder: Path, mode: str, **more: object) -> ingest.Loaded:
    return ingest.files(lake, str(folder), "raw.t", mode=mode, format="csv", **more)  # type: ignore[arg-type]


def rows_of(lake: Lake, columns: str) -> list[dict[str, object]]:
    return lake.sql(f"select {columns} from raw.t order by id").to_arrow().to_pylist()


@embedded_only
def test_files_and_drift_show_what_was_seen(lake: Lake, folder: Path) -> None:
    (folder / "a.csv").write_text("id,v\n1,x\n")
    load(lake, folder, "append")
    (folder / "b.csv").write_text("id,v,w\n2,y,z\n")
    (folder / "c.csv").write_text("id,v\n1,x\n")
    load(lake, folder, "append")
    found = json.loads(call(lake, "files", "raw.t", "--json").output)
    assert [(Path(row["path"]).name, row["bytes"], row["state"], row["rows"]) for row in found] == [
        ("a.csv", 9, "loaded", 1),
        ("b.csv", 13, "loaded", 1),
        ("c.csv", 9, "duplicate", None),
    ]
    shown = call(lake, "files", "--state", "duplicate").output
    assert "c.csv" in shown and "a.csv" in shown and "b.csv" not in shown
    assert call(lake, "files", "raw.other").output == "none\n"
    assert "expected one of landed, loading" in call(lake, "files", "--state", "lost").output
    drift = json.loads(call(lake, "drift", "raw.t", "--json").output)
    assert [(row["column"], row["change"], row["after"], row["file"]) for row in drift] == [
        ("w", "new", "string", "b.csv")
    ]
    assert "b.csv" in call(lake, "drift").output


@embedded_only
def test_quarantine_shows_reason_place_and_bytes_and_no_terminal_is_steered(lake: Lake, folder: Path) -> None:
    (folder / "a.csv").write_bytes(b"id,v\n1,x\n2,\x1b[31m,\xff\n3,z\n")
    load(lake, folder, "append")
    listed = json.loads(call(lake, "quarantine", "list", "--json").output)
    assert [(row["dataset"], row["sources"], row["refused"]) for row in listed] == [("raw.t", 1, 1)]
    assert "raw.t" in call(lake, "quarantine", "list", "raw.t").output
    shown = call(lake, "quarantine", "show", "raw.t").output
    assert shown.startswith("1. a.csv ") and "\x1b" not in shown and "2,\\x1b[31m,\\xff" in shown
    written = CliRunner().invoke(main, ["quarantine", "show", "raw.t", "--bytes", "1", "--lake", str(lake.path)])
    assert b"\x1b[31m,\xff" in written.stdout_bytes
    assert "number 2 is not in its quarantine" in call(lake, "quarantine", "show", "raw.t", "--bytes", "2").output
    assert call(lake, "quarantine", "show", "raw.t", "--source", "b.csv").output == "nothing is in quarantine\n"
    assert call(lake, "quarantine", "show", "raw.other").output == "error: raw.other: nothing of it is in quarantine\n"


@pytest.mark.parametrize("mode", ["append", "current", "history", "scd2", "overwrite"])
@embedded_only
def test_refused_rows_are_loaded_after_a_fix_and_the_others_not_again(lake: Lake, folder: Path, mode: str) -> None:
    """The date of row 2 is impossible until its column is declared as text."""
    (folder / "a.csv").write_text("id,v\n1,2024-01-31\n2,2024-02-30\n3,2024-03-31\n4,2024-04-30\n")
    loaded = load(lake, folder, mode, key=["id"], columns=["id bigint", "v date"], options={"header": True})
    assert loaded.counts.refused == 1
    (folder / "a.csv").write_text("id,v\n1,2024-01-31\n2,2024-02-29\n3,2024-03-31\n4,2024-04-30\n")
    found = call(lake, "quarantine", "retry", "raw.t")
    assert found.output == (
        "raw.t: the next run reads 1 files again: 0 that were refused, and 1 refused rows of the others\n"
    )
    again = load(lake, folder, mode, key=["id"], columns=["id bigint", "v date"], options={"header": True})
    assert [(row["id"], str(row["v"])) for row in rows_of(lake, "id, v")] == [
        (1, "2024-01-31"),
        (2, "2024-02-29"),
        (3, "2024-03-31"),
        (4, "2024-04-30"),
    ]
    assert again.counts.refused == 0
    assert lake.read("quarantine.raw_t").count() == 0
    assert [file.state for file in FileLedger(lake.path).files("raw.t")] == ["loaded"]


def test_a_refused_row_is_loaded_after_a_retry_with_its_encoding(lake: Lake, folder: Path) -> None:
    (folder / "a.csv").write_bytes(b"id,v\n1,x\n2,\xe4\n")
    assert load(lake, folder, "append").counts.refused == 1
    assert load(lake, folder, "append").counts.more["files"] == 0
    assert retry(lake, "raw.t", ["a.*"]).rows == 1
    again = load(lake, folder, "append", options={"encoding": "latin-1"})
    assert (again.counts.rows_in, again.counts.rows_out, again.counts.duplicate) == (2, 1, 1)
    assert rows_of(lake, "id, v") == [{"id": 1, "v": "x"}, {"id": 2, "v": "ä"}]


@embedded_only
def test_a_refused_file_is_read_again_after_a_retry_and_refused_again_while_it_is_broken(
    lake: Lake, folder: Path
) -> None:
    pq.write_table(pa.table({"id": [1]}), folder / "a.parquet")
    (folder / "b.parquet").write_bytes((folder / "a.parquet").read_bytes()[:100])
    for expected in (1, 0):
        loaded = ingest.files(lake, str(folder), "raw.t", mode="append", format="parquet")
        assert loaded.counts.more["files refused"] == expected
    found = retry(lake, "raw.t")
    assert (found.files, found.whole, found.rows) == (["b.parquet"], 1, 0)
    assert ingest.files(lake, str(folder), "raw.t", mode="append", format="parquet").counts.more["files refused"] == 1
    retry(lake, "raw.t")
    pq.write_table(pa.table({"id": [2]}), folder / "b.parquet")
    ingest.files(lake, str(folder), "raw.t", mode="append", format="parquet")
    assert rows_of(lake, "id") == [{"id": 1}, {"id": 2}]
    assert lake.read("quarantine.raw_t").count() == 0


@embedded_only
def test_a_retry_that_is_killed_loads_no_row_twice(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.csv").write_text("id,v\n1,x\n2,y,too many\n")
    load(lake, folder, "append")
    retry(lake, "raw.t")

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FileLedger, "counted", killed)
        patch.setattr("thresher.ingest.applying.Load.apply", killed)
        with pytest.raises(KeyboardInterrupt):
            load(lake, folder, "append")
    assert [file.state for file in FileLedger(lake.path).files("raw.t")] == ["loading"]
    (folder / "a.csv").write_text("id,v\n1,x\n2,y\n")
    load(lake, folder, "append")
    assert rows_of(lake, "id, v, _row") == [{"id": 1, "v": "x", "_row": 1}, {"id": 2, "v": "y", "_row": 2}]


@embedded_only
def test_what_cannot_be_tried_again_says_why(lake: Lake, folder: Path) -> None:
    with pytest.raises(DatasetNotFound, match=r"raw\.t: nothing of it is in quarantine"):
        retry(lake, "raw.t")
    (folder / "a.csv").write_text("id,v\n1,x\n2,y,too many\n")
    load(lake, folder, "append")
    with pytest.raises(UsageError, match=r"raw\.t: nothing of b\.csv in its quarantine is from files"):
        retry(lake, "raw.t", ["b.csv"])
    (folder / "a.csv").unlink()
    assert call(lake, "quarantine", "retry", "raw.t").output.splitlines()[1] == (
        "no longer in landing, stays in quarantine: a.csv"
    )


def test_a_step_that_would_be_skipped_runs_after_a_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first load knows no type of row 2; the file is mended in place, as nobody but its source may do."""
    for folder in ("pipelines", "notebooks", "in"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "notebooks" / "01_ingest.ipynb", tmp_path / "notebooks")
    given = "{source: in/*.csv, mode: append}"
    step = f"{{notebook: notebooks/01_ingest.ipynb, with: {given}, writes: {{target: raw.t}}}}"
    (tmp_path / "pipelines" / "t.yml").write_text(f"name: t\nsteps:\n  ingest: {step}\n")
    (tmp_path / "in" / "a.csv").write_text("id,v\n1,x\n2,y,z\n")
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    assert runner.invoke(main, ["run", "t"]).exit_code == 0
    assert runner.invoke(main, ["plan", "t"]).output.startswith("t\nskip  ingest  nothing changed\n")
    assert runner.invoke(main, ["quarantine", "retry", "raw.t"]).exit_code == 0
    assert runner.invoke(main, ["plan", "t"]).output.startswith(
        "t\nrun   ingest  quarantine.raw_t, which it writes, is version 1; it left version 0"
    )
    (tmp_path / "in" / "a.csv").write_text("id,v\n1,x\n2,y z\n")
    assert runner.invoke(main, ["run", "t"]).exit_code == 0
    lake = Lake(tmp_path / "lake", "duckdb")
    assert rows_of(lake, "id, v") == [{"id": 1, "v": "x"}, {"id": 2, "v": "y z"}]
    assert runner.invoke(main, ["quarantine", "list", "raw.t"]).output == "nothing is in quarantine\n"
    assert runner.invoke(main, ["plan", "t"]).output.startswith("t\nskip  ingest  nothing changed\n")
