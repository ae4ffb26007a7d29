"""A step with `foreach`: a step for each item, several in one notebook with `batch`, each with its own status."""

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from thresher.errors import UsageError
from thresher.ledger import Run
from thresher.pipeline import Pipeline, load
from thresher.runner import preview, run

LOAD = """\
lake: str = "lake"
source: th.Landing = "landing/*/*.csv"
target: str = "raw.x"
key: list[str] = ["id"]
limit: int | None = None
"""
CELLS = [
    "import os\nassert 'left' not in globals() and 'LEFT' not in os.environ\nleft = os.environ['LEFT'] = target",
    "assert os.environ['THRESHER_STEP'] == target.replace('raw.', 'load[') + ']'",
    "open('pids', 'a').write(f'{os.getpid()} ')",
    "import sys\nassert sys.modules['__main__'].__spec__ is None",  # PySpark asks for it
    "import pyarrow as pa\nfrom pathlib import Path\nfrom thresher import Counts, Lake",
    "rows = Path(source).read_text().split()\nassert rows[0] == 'id', f'{source}: no header'",
    "Lake(lake).write(target, pa.table({'id': rows[1:]}), mode='overwrite')\n"
    "Counts(target, rows_in=len(rows) - 1, rows_out=len(rows) - 1)",
]
READ = 'lake: str = "lake"\nsource: str = "raw.x"'


def notebook(path: Path, parameters: str, cells: list[str]) -> None:
    made = [nbformat.v4.new_markdown_cell("# Loads one table")]
    made += [nbformat.v4.new_code_cell("import thresher as th")]
    made += [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    nbformat.write(nbformat.v4.new_notebook(cells=made + [nbformat.v4.new_code_cell(each) for each in cells]), path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("pipelines", "notebooks", "config", *(f"landing/t{number}" for number in range(1, 19))):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(1, 19):
        (tmp_path / f"landing/t{number}/a.csv").write_text("id\n1\n2\n")
    notebook(tmp_path / "notebooks" / "load.ipynb", LOAD, CELLS)
    notebook(tmp_path / "notebooks" / "use.ipynb", READ, ["source"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def loaded(project: Path) -> Callable[[str], Pipeline]:
    def load_text(text: str) -> Pipeline:
        (project / "pipelines" / "x.yml").write_text(text)
        return load(project / "pipelines" / "x.yml", exists=lambda name: False)

    return load_text


def step(foreach: str, more: str = "", given: str = 'source: "landing/${each.table}/a.csv"') -> str:
    return (
        "name: x\nparams: {cadence: fast}\nsteps:\n  load:\n    notebook: notebooks/load.ipynb\n"
        f"    foreach: {foreach}\n"
        f'    with: {{{given}}}\n    writes: {{target: "raw.${{each.table}}"}}\n{more}'
    )


EIGHTEEN = json.dumps([{"table": f"t{number}"} for number in range(1, 19)])
USE = "".join(
    f"  use_{name}: {{notebook: notebooks/use.ipynb, reads: {{source: raw.{name}}}}}\n" for name in ("t3", "t4")
)


def ended(found: Run) -> dict[str, int]:
    return dict(Counter(step.status for step in found.steps))


def test_each_item_is_a_step_and_what_reads_its_table_depends_on_it_alone(loaded: Callable[[str], Pipeline]) -> None:
    listed = "\n      - {table: t3, key: [id, line]}\n      - {name: fourth, table: t4, key: [id]}\n"
    with pytest.raises(UsageError, match=r"a second item|no entry|unknown"):
        loaded(step("[{table: t3}, {table: t3}]"))
    checked = loaded(
        step(listed.replace("name: fourth, ", ""), USE, 'source: "landing/${each.table}/a.csv", key: "${each.key}"')
    )
    assert {each.name: (each.writes, each.after, each.arguments.get("key")) for each in checked.steps} == {
        "load[t3]": (("raw.t3",), (), ["id", "line"]),
        "load[t4]": (("raw.t4",), (), ["id"]),
        "use_t3": (("raw.t3",)[:0], ("load[t3]",), None),
        "use_t4": ((), ("load[t4]",), None),
    }


def test_eighteen_tables_in_batches_of_five_are_four_notebooks_and_a_broken_one_fails_alone(project: Path) -> None:
    file = project / "pipelines" / "x.yml"
    file.write_text(step(EIGHTEEN, "    batch: 5\n" + USE))
    (project / "landing/t3/a.csv").write_text("nonsense")
    first = run(file, lake="lake", jobs=2).run
    assert ended(first) == {"succeeded": 18, "failed": 1, "blocked": 1}
    steps = {step.name: step for step in first.steps}
    assert steps["load[t3]"].error == "AssertionError: landing/t3/a.csv: no header"
    assert (steps["use_t3"].status, steps["use_t4"].status) == ("blocked", "succeeded")
    assert steps["load[t18]"].rows_out == 2
    shared = Counter(step.executed.rpartition("/")[2] for step in first.steps if step.name.startswith("load"))
    assert shared == {
        f"load[batch-{number}].ipynb": size for number, size in zip((1, 2, 3, 4), (5, 5, 5, 3), strict=True)
    }
    pids = Counter((project / "pids").read_text().split())
    assert sorted(pids.values()) == [2, 3, 3, 5, 5]  # the kernel of the table that failed is not used again

    executed = nbformat.read(project / "lake" / steps["load[t1]"].executed, as_version=4)
    headings = [cell.source for cell in executed.cells if cell.source.startswith("# load[")]
    assert headings == [f"# load[t{number}]" for number in range(1, 6)]
    assert len({cell.id for cell in executed.cells}) == len(executed.cells)
    nbformat.validate(executed)

    (project / "landing/t3/a.csv").write_text("id\n7\n")
    again = run(file, lake="lake", jobs=2).run
    assert (again.id, again.status, ended(again)) == (first.id, "succeeded", {"succeeded": 20})
    assert {s.name: s.executed.rpartition("/")[2] for s in again.steps}["load[t3]"] == "load[batch-5].ipynb"
    assert [s.name for s in again.steps if s.started_at > (first.ended_at or s.started_at)] == ["load[t3]", "use_t3"]

    (project / "landing/t9/a.csv").write_text("id\n1\n2\n3\n")
    third = run(file, lake="lake", jobs=2).run
    assert ended(third) == {"skipped": 19, "succeeded": 1}


def test_without_batch_each_item_has_its_notebook_and_is_selected_by_name(project: Path) -> None:
    file = project / "pipelines" / "x.yml"
    file.write_text(step("[{table: t1}, {table: t2}]"))
    chosen = run(file, lake="lake", select=["load[t2]"]).run
    assert [(s.name, s.status, s.executed.rpartition("/")[2]) for s in chosen.steps] == [
        ("load[t2]", "succeeded", "load[t2].ipynb")
    ]
    _, decisions = preview(file, lake="lake", select=["load"])
    assert [(each.step, each.action) for each in decisions] == [("load[t1]", "run"), ("load[t2]", "skip")]


def test_an_item_that_kills_its_kernel_or_takes_too_long_fails_alone(project: Path) -> None:
    notebook(
        project / "notebooks" / "load.ipynb",
        LOAD,
        ["import os, time\nif target == 'raw.t2': os._exit(3)", "if target == 'raw.t4': time.sleep(60)", "target"],
    )
    file = project / "pipelines" / "x.yml"
    items = json.dumps([{"table": f"t{number}"} for number in range(1, 6)])
    file.write_text(step(items, "    batch: 5\n    cell_timeout: 2s\n"))
    steps = {s.name: s for s in run(file, lake="lake").run.steps}
    assert {name: s.status for name, s in steps.items()} == {
        f"load[t{number}]": "failed" if number in (2, 4) else "succeeded" for number in range(1, 6)
    }
    assert steps["load[t2]"].error == "crashed: the kernel died (exit code 3)"
    assert (steps["load[t4]"].error or "").startswith("timeout: the cell took longer than 2 s")
    assert len({s.executed for s in steps.values()}) == 1


CSV = 'table,cadence,key,limit\nt1,fast,id,5\nt2,slow,id,\nt3,fast,"id, line",7\n'


def test_a_table_configuration_gives_the_items_that_where_asks_for(
    project: Path, loaded: Callable[[str], Pipeline]
) -> None:
    (project / "config" / "tables.csv").write_text(CSV)
    where = '{file: config/tables.csv, where: {cadence: "${cadence}"}}'
    given = 'source: "landing/${each.table}/a.csv", key: "${each.key}", limit: "${each.limit}"'
    checked = loaded(step(where, given=given))
    assert [(each.name, each.arguments["key"], each.arguments["limit"]) for each in checked.steps] == [
        ("load[t1]", ["id"], 5),
        ("load[t3]", ["id", "line"], 7),
    ]


def test_the_configuration_of_the_odp_framework_is_read_as_it_is(
    realdata: Path, loaded: Callable[[str], Pipeline], project: Path
) -> None:
    path = realdata / "cdc/awslabs_odpf_configs/demo/ops_table_config_settings/odpf_raw_table_config.json"
    text = step(f'{{file: "{path}", where: {{refresh_cadence: 10_min_refresh, is_active: "Y"}}}}', "    batch: 5\n")
    text = text.replace("each.table", "each.source_table_name").replace(
        "with: {", 'with: {key: "${each.hudi_primary_key}", '
    )
    (project / "landing/table_1").mkdir()
    (project / "landing/table_1/a.csv").write_text("id\n")
    checked = loaded(text)
    assert [each.name for each in checked.steps] == [f"load[table_{number}]" for number in range(1, 19)]
    assert checked.steps[0].arguments["key"] == ["PK_ID"]


def test_table_mappings_of_dms_choose_among_folders(
    project: Path, realdata: Path, loaded: Callable[[str], Pipeline]
) -> None:
    path = realdata / "cdc/awslabs_odpf_configs/demo/dms_settings/dms_task_mapping_rules.json"
    for name in ("taxi_trips/table_1", "taxi_trips/table_2", "taxi_trips/other", "elsewhere/table_1"):
        (project / "dms" / name).mkdir(parents=True)
        (project / "dms" / name / "LOAD00000001.csv").write_text("id\n")
    given = 'source: "dms/${each.schema}/${each.table}/*.csv"'
    checked = loaded(step(f'{{file: "{path}", tables: "dms/*/*"}}', given=given))
    assert [(each.name, each.arguments["source"], each.writes) for each in checked.steps] == [
        ("load[taxi_trips.table_1]", "dms/taxi_trips/table_1/*.csv", ("raw.table_1",)),
        ("load[taxi_trips.table_2]", "dms/taxi_trips/table_2/*.csv", ("raw.table_2",)),
    ]


def test_a_table_without_files_fails_alone_and_none_with_files_is_refused(
    project: Path, loaded: Callable[[str], Pipeline]
) -> None:
    assert [each.name for each in loaded(step("[{table: t1}, {table: nowhere}]")).steps] == [
        "load[t1]",
        "load[nowhere]",
    ]
    with pytest.raises(UsageError, match=r"x\.yml:7: source \(nowhere, line 6\): landing folder .* is not there"):
        loaded(step("[{table: nowhere}]"))


@pytest.mark.parametrize(
    ("foreach", "given", "message"),
    [
        ("[]", "", "x.yml:6: step load: foreach: found no items, expected at least one"),
        (
            "5",
            "",
            "x.yml:6: foreach: found a whole number (5), expected a list of mappings, or the file of a table conf",
        ),
        ("[t1]", "", "x.yml:6: foreach: found text ('t1'), expected a mapping such as {table: orders}"),
        (
            "[{table: t1}, {table: t2}, {table: t1}]",
            "",
            "step load: foreach: line 6: a second item with table 't1'; the first is line 6. Give each item",
        ),
        ("[{table: a/b}]", "", "line 6: found 'a/b' as table, which names the step; expected letters, digits"),
        ("[{table: t1}]", 'key: "${each.kee}"', "unknown ${each.kee}. Expected one of: table."),
        ("[{table: t1}]", 'key: "${each.tabel}"', "unknown ${each.tabel}. Did you mean table?"),
        (
            "[{table: t1, key: [id]}, {table: t2}]",
            'key: "${each.key}"',
            "line 6: item t2 has no key, which ${each.key} asks for",
        ),
        (
            "[{table: t1, limit: 5}, {table: t2, limit: x}]",
            'limit: "${each.limit}"',
            "x.yml:7: limit (t2, line 6): found text ('x'), notebooks/load.ipynb expects int | None",
        ),
        ("[{table: T1}]", 'source: "landing/t1/a.csv"', "x.yml:8: target (T1, line 6): "),
        ("config/none.csv", "", "foreach: file config/none.csv is not there; expected a table configuration"),
        ("{file: config/a.csv, where: {cadenze: x}}", "", "where: no item has 'cadenze'. Did you mean cadence?"),
        ("{file: config/a.csv, where: {cadence: daily}}", "", "where: no item has cadence 'daily'; found fast, slow"),
        ("config/b.csv", "", "config/b.csv:3: found another number of fields than in the first line"),
        ("config/c.json", "", "config/c.json is no JSON: "),
    ],
)
def test_what_is_wrong_with_items_is_told_before_anything_runs(
    project: Path, loaded: Callable[[str], Pipeline], foreach: str, given: str, message: str
) -> None:
    (project / "config" / "a.csv").write_text(CSV)
    (project / "config" / "b.csv").write_text("table,key\nt1,id\nt2\n")
    (project / "config" / "c.json").write_text("[{]")
    with pytest.raises(UsageError) as error:
        loaded(step(foreach, given=given or 'source: "landing/${each.table}/a.csv"'))
    assert message in str(error.value)


def test_one_target_for_two_items_is_refused(loaded: Callable[[str], Pipeline]) -> None:
    text = step("[{table: t1}, {table: t2}]").replace("raw.${each.table}", "raw.all")
    with pytest.raises(UsageError) as error:
        loaded(text)
    assert str(error.value).endswith("step load[t2] writes raw.all, which step load[t1] writes too; expected one")


def test_batch_goes_with_foreach(loaded: Callable[[str], Pipeline]) -> None:
    with pytest.raises(UsageError, match="batch: found 0, expected 1 to 100"):
        loaded(step("[{table: t1}]", "    batch: 0\n"))
    with pytest.raises(UsageError, match="there is no foreach"):
        loaded(step("[{table: t1}]", "    batch: 5\n").replace("    foreach: [{table: t1}]\n", ""))


def test_what_one_item_leaves_open_does_not_reach_the_next(project: Path) -> None:
    """Names and variables are those of a fresh session: the notebook asserts it; here its folder."""
    notebook(
        project / "notebooks" / "load.ipynb",
        LOAD,
        ["import os\nopen('cwd', 'a').write(os.getcwd() + '\\n')\nos.chdir('/')"],
    )
    file = project / "pipelines" / "x.yml"
    file.write_text(step("[{table: t1}, {table: t2}]", "    batch: 2\n"))
    assert run(file, lake="lake", jobs=1).exit_code == 0
    assert (project / "cwd").read_text() == f"{os.path.realpath(project)}\n" * 2
