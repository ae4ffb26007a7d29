"""The shipped pipelines on the shipped samples: from landing to report, twice, by hand, and held by nbval."""

import os
import shutil
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import nbformat
import pytest

from thresher import counts
from thresher.lake import Lake
from thresher.ledger import Ledger
from thresher.parity import compare

ROOT = Path(__file__).resolve().parent.parent


def thresher(*arguments, cwd, **env):
    command = [sys.executable, "-m", "thresher", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project in which both pipelines have run once."""
    project = tmp_path_factory.mktemp("project")
    for folder in ("notebooks", "pipelines", "data/sample"):
        shutil.copytree(ROOT / folder, project / folder)
    for name in ("courses", "invoices"):
        done = thresher("run", name, cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture(scope="module")
def lake(project):
    lake = Lake(project / "lake")
    yield lake
    lake.engine.close()


def values(frame):
    return [tuple(row.values()) for row in frame.to_arrow().to_pylist()]


def test_every_row_is_accounted_for(project):
    runs = {run.pipeline: run for run in Ledger.of_lake(project / "lake").runs()}
    steps = {
        (name, step.name): (step.rows_in, step.rows_out, step.refused, step.duplicate)
        for name, run in runs.items()
        for step in run.steps
    }
    assert steps == {
        ("courses", "ingest"): (67, 67, 0, 0),
        ("courses", "flatten"): (67, 65, 2, 0),
        ("courses", "dedupe"): (65, 58, 0, 7),
        ("courses", "dim_course"): (58, 58, 0, 0),
        ("courses", "dim_book"): (104, 99, 1, 4),
        ("courses", "dim_author"): (112, 112, 0, 0),
        ("courses", "fact_course_material"): (104, 104, 0, 0),
        ("courses", "report"): (0, 0, 0, 0),
        ("invoices", "ingest"): (15, 15, 0, 0),
        ("invoices", "flatten"): (15, 12, 3, 0),
        ("invoices", "dedupe"): (12, 11, 0, 1),
        ("invoices", "headers"): (11, 11, 0, 0),
        ("invoices", "items"): (28, 28, 0, 0),
        ("invoices", "dim_party"): (22, 11, 0, 11),
        ("invoices", "dim_item"): (28, 24, 0, 4),
        ("invoices", "dim_date"): (11, 11, 0, 0),
        ("invoices", "fact_invoice_line"): (28, 28, 0, 0),
        ("invoices", "report"): (0, 0, 0, 0),
    }


def test_the_traps_of_the_course_sample_are_right(lake):
    books = values(
        lake.sql("""
            select c.course_id, b.title, b.language, b.isbn, f.price_amount, f.price_currency, a.author_name,
              f.author_count
            from mart.fact_course_material f
            join mart.dim_course c on f.course_key = c.course_key
            join mart.dim_book b on f.book_key = b.book_key
            join mart.dim_author a on f.first_author_key = a.author_key
            where c.course_id > 100 order by c.course_id, f.material_id
        """)
    )
    first, price = "Author A. 01", Decimal("25.00")
    expected = {
        101: [("The Only Book", "en", None, price, "EUR", first, 1)],
        102: [
            ("First of Three", "en", None, price, "EUR", first, 1),
            ("Second of Three", "en", None, price, "EUR", "Author B. 02", 3),
            ("Third of Three", "en", None, price, "EUR", first, 1),
        ],
        103: [("No Language Given", None, None, price, "EUR", first, 1)],
        104: [(None, None, None, price, "EUR", first, 1)],  # a title without text: the unknown member
        105: [("Café & Culture <draft>", "en", None, price, "EUR", first, 1)],
        106: [("Less < More & Other Rules", None, None, price, "EUR", first, 1)],
        107: [("Soil and Water", None, None, price, "EUR", first, 1)],
        108: [("Numbers", "en", "0007300014", price, "EUR", first, 1)],
        109: [("Imported", "en", None, Decimal("250.00"), "SEK", first, 1)],
        112: [("Twice the Same", "en", None, price, "EUR", first, 1)],
        113: [("Again the Same", "en", None, price, "EUR", first, 1)],
        114: [("Changing Book", "en", None, Decimal("32.50"), "EUR", first, 1)],
        115: [("Current Book", "en", None, price, "EUR", first, 1)],
        116: [("Tied Book", "en", None, Decimal("12.00"), "EUR", first, 1)],
        120: [("Wide Characters: äöü €", "en", None, price, "EUR", first, 1)],
        121: [("Crème brûlée", "fr", None, price, "EUR", first, 1)],
        122: [("Marked", "en", None, price, "EUR", first, 1)],
        123: [("Packed", "en", None, price, "EUR", first, 1)],
        124: [("Λόγος", "el", None, price, "EUR", first, 1), ("数学", "zh", None, price, "EUR", first, 1)],
        125: [("Harmless", "en", None, price, "EUR", first, 1)],
        126: [("Three Rs", "en", None, price, "EUR", first, 1)],
        127: [("Second Edition", "en", None, price, "EUR", first, 1)],
    }
    found = {}
    for course, *book in books:
        found.setdefault(course, []).append(tuple(book))
    assert found == expected


def test_courses_without_readable_material_are_where_they_belong(lake):
    names = dict(values(lake.sql("select course_id, course_name from mart.dim_course where course_id > 100")))
    assert {117, 118, 119} <= names.keys() and not {110, 111} & names.keys()
    assert (names[114], names[115]) == ("Renamed Course", "Current Name")
    assert names[126] == 'Reading, Writing and "Arithmetic"\nfor Beginners'
    refused = lake.sql(
        "select q.rule, r.course_id from quarantine.curated_courses q join raw.courses r "
        "on q.key = concat(r._file, '#', cast(r._row as string)) order by r.course_id"
    )
    assert values(refused) == [("truncated", 110), ("malformed", 111)]


def test_invoices_reconcile_but_for_the_planted_one(lake):
    compared = lake.sql("""
        select h.document_id, h.currency, h.declared_amount, sum(l.line_amount) as lines_amount
        from curated.invoice_headers h join mart.fact_invoice_line l on h.document_key = l.document_key
        group by h.document_id, h.currency, h.declared_amount
    """)
    differing = lake.sql("select * from c where declared_amount <> lines_amount", c=compared)
    assert compared.count() == 11
    assert values(differing) == [("INV-1009", "EUR", Decimal("116.70"), Decimal("106.70"))]
    assert sorted(values(lake.sql("select key, rule from quarantine.curated_invoices"))) == [
        ("invoice_1010.xml#1", "truncated"),
        ("order_3001.xml#1", "root"),
        ("readme.xml#1", "malformed"),
    ]


def test_running_again_changes_nothing(project, lake):
    before = [(table.name, table.version, table.rows) for table in lake.tables()]
    for name in ("courses", "invoices"):
        done = thresher("run", name, cwd=project)
        assert done.returncode == 0, done.stdout + done.stderr
    assert [(table.name, table.version, table.rows) for table in lake.tables()] == before


def test_a_run_that_was_killed_is_made_good_by_the_next(project, lake, tmp_path):
    command = [sys.executable, "-m", "thresher", "run", "courses", "--lake", str(tmp_path / "lake")]
    for written in ("raw/courses", "curated/courses_book", "mart/dim_book"):
        with subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL) as run:
            # The step that writes this is at work at this moment, or has just ended.
            while not (tmp_path / "lake" / written).exists() and run.poll() is None:
                time.sleep(0.01)
            run.kill()
    assert subprocess.run(command, cwd=project, stdout=subprocess.DEVNULL).returncode == 0
    of_courses = [each for each in compare(lake, Lake(tmp_path / "lake")) if "invoice" not in each.dataset]
    of_courses = [each for each in of_courses if each.other_rows is not None]
    assert [(each.dataset, each.difference) for each in of_courses] == [
        (name, "")
        for name in (
            "curated.courses",
            "curated.courses_book",
            "curated.courses_book_author",
            "curated.courses_latest",
            "mart.dim_author",
            "mart.dim_book",
            "mart.dim_course",
            "mart.fact_course_material",
            "quarantine.curated_courses",
            "quarantine.mart_dim_book",
            "raw.courses",
        )
    ]
    [run] = Ledger.of_lake(tmp_path / "lake").runs()  # each went on where the one before was killed
    assert run.status == "succeeded"


def test_data_is_text_on_every_page(project):
    pages = sorted((project / "site").rglob("*.html"))
    assert [page.name for page in pages] == ["index.html", "courses-report.html", "invoices-report.html"]
    assert not any("<script" in page.read_text("utf-8").lower() for page in pages)


def test_a_notebook_runs_by_plain_papermill(project, tmp_path):
    source = Lake(project / "lake").read("raw.courses")
    Lake(tmp_path / "lake").write("raw.mine", source.to_arrow())
    parameters = {"lake": tmp_path / "lake", "source": "raw.mine", "target": "curated.mine", "into": "material"}
    command = [sys.executable, "-m", "papermill", "notebooks/02_flatten_xml.ipynb", str(tmp_path / "out.ipynb")]
    command += [part for name, value in parameters.items() for part in ("-p", name, str(value))]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    lake = Lake(tmp_path / "lake")
    assert [table.name for table in lake.tables("curated")] == [
        "curated.mine",
        "curated.mine_book",
        "curated.mine_book_author",
    ]
    assert lake.read("curated.mine").count() == 65
    outputs = [output for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells for output in cell.get("outputs", [])]
    shown = [output["data"][counts.MIME] for output in outputs if counts.MIME in output.get("data", {})]
    assert [(each["rows_in"], each["rows_out"], each["refused"]) for each in shown] == [(67, 65, 2)]


def nbval(project, *notebooks, how="--nbval"):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", how, "--nbval-current-env"]
    command += ["--nbval-sanitize-with", str(ROOT / "tests" / "notebooks.cfg"), *map(str, notebooks)]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=900)


def test_the_steps_run_by_hand_in_their_order(tmp_path):
    for folder in ("notebooks", "pipelines", "data/sample"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    done = nbval(tmp_path, *sorted((tmp_path / "notebooks").glob("0*.ipynb")), how="--nbval-lax")
    assert done.returncode == 0, done.stdout[-6000:]
    assert Lake(tmp_path / "lake").read("mart.fact_reading_list").count() == 104


def test_notebooks_give_what_they_show(project, tmp_path):
    # A copy: a run by hand leaves other tables than the pipeline does.
    project = shutil.copytree(project, tmp_path / "project")
    notebooks = sorted((project / "notebooks").glob("0*.ipynb"))
    reports = [project / f"notebooks/reports/{name}.ipynb" for name in ("courses", "invoices")]
    done = nbval(project, *notebooks, *reports)
    assert done.returncode == 0, done.stdout[-6000:]


@pytest.mark.spark
def test_exploring_on_spark_gives_what_it_shows(project, spark_home):
    done = nbval(project, *sorted((project / "notebooks/explore").glob("*.ipynb")))
    assert done.returncode == 0, done.stdout[-6000:]


def test_invoices_of_third_parties_reconcile(project, realdata, tmp_path):
    done = thresher(
        "run", "invoices", "-p", f"landing={realdata / 'xml' / 'ubl_peppol'}", "--lake", tmp_path / "lake", cwd=project
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lake = Lake(tmp_path / "lake")
    assert lake.read("mart.fact_invoice_line").count() == 26
    compared = lake.sql("""
        select h.currency, count(*) as documents, sum(h.declared_amount) as declared, sum(l.amount) as lines
        from curated.invoice_headers h
        join (select document_key, sum(line_amount) as amount from mart.fact_invoice_line group by document_key) l
          on h.document_key = l.document_key
        where h.declared_amount = l.amount group by h.currency order by h.currency
    """)
    found = {row[0]: row[1:] for row in values(compared)}
    assert sum(documents for documents, *_ in found.values()) == 12
    assert all(declared == lines for _, declared, lines in found.values())
