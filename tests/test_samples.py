"""The sample files are what their generator writes, and hold the traps that their README promises."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import etree

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data" / "sample"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def courses(name: str) -> pa.Table:
    return pq.read_table(SAMPLE / "courses" / name)


def blob(course_id: int) -> bytes | None:
    rows = courses("courses_full.parquet").to_pylist()
    return next(row["study_material_info"] for row in rows if row["course_id"] == course_id)


def line_sum(invoice: Path) -> tuple[Decimal, Decimal]:
    """The sum of the lines, and the sum that the document declares."""
    lines = etree.parse(invoice).xpath(
        "//*[local-name()='InvoiceLine' or local-name()='CreditNoteLine']/*[local-name()='LineExtensionAmount']/text()"
    )
    declared = etree.parse(invoice).xpath("//*[local-name()='LegalMonetaryTotal']/*[1]/text()")
    return sum(map(Decimal, lines), Decimal(0)), Decimal(declared[0])


def test_generator_writes_the_committed_files_byte_for_byte(tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    subprocess.run([sys.executable, ROOT / "data" / "make_samples.py", folder], check=True)
    written, committed = contents(folder), contents(SAMPLE)
    changed = sorted(name for name in written.keys() | committed.keys() if written.get(name) != committed.get(name))
    assert changed == [], "run `python data/make_samples.py`, look at the difference, commit it"


def test_courses_have_the_columns_of_the_extract_and_no_foreign_metadata() -> None:
    for name, rows in (("courses_full.parquet", 58), ("courses_updates.parquet", 9)):
        table = courses(name)
        assert table.schema.equals(
            pa.schema(
                [
                    ("course_id", pa.int64()),
                    ("course_name", pa.string()),
                    ("study_material_info", pa.binary()),
                    ("updated_at", pa.timestamp("us", tz="UTC")),
                ]
            ),
            check_metadata=False,
        )
        assert table.schema.metadata is None
        assert table.num_rows == rows


def test_course_versions_and_duplicates() -> None:
    full, updates = courses("courses_full.parquet").to_pylist(), courses("courses_updates.parquet").to_pylist()
    assert [row["course_id"] for row in updates] == [3, 8, 31, 32, 33, 113, 114, 115, 127]
    once = {row["course_id"]: row for row in full}
    again = {row["course_id"]: row for row in updates}
    assert [row for row in full if row["course_id"] == 112] == [once[112], once[112]]
    assert again[113] == once[113]
    assert again[114]["updated_at"] > once[114]["updated_at"]
    assert again[115]["updated_at"] < once[115]["updated_at"]
    first, second = (row for row in full if row["course_id"] == 116)
    assert first["updated_at"] == second["updated_at"]
    assert first["study_material_info"] != second["study_material_info"]


@pytest.mark.parametrize(
    ("course_id", "begins"),
    [
        (117, b""),
        (118, None),
        (119, b"<catalog/>"),
        (120, b"\xff\xfe<\x00?\x00x\x00m\x00l\x00"),
        (121, b'<?xml version="1.0" encoding="ISO-8859-1"?>'),
        (122, b"\xef\xbb\xbf<?xml"),
        (123, b"\x1f\x8b"),
    ],
)
def test_blobs_in_other_forms(course_id: int, begins: bytes | None) -> None:
    found = blob(course_id)
    assert found == begins if not begins else found is not None and found.startswith(begins)


@pytest.mark.parametrize("course_id", [110, 111])
def test_broken_documents_are_broken(course_id: int) -> None:
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(blob(course_id) or b"")


def test_every_other_document_is_well_formed() -> None:
    refused = []
    for row in courses("courses_full.parquet").to_pylist() + courses("courses_updates.parquet").to_pylist():
        try:
            etree.fromstring(row["study_material_info"] or b"")
        except etree.XMLSyntaxError:
            refused.append(row["course_id"])
    assert refused == [110, 111, 117, 118, 123]  # cut off, mismatched, empty, none, compressed


def test_invoice_lines_sum_to_what_is_declared_except_in_one() -> None:
    different = {}
    for path in sorted((SAMPLE / "invoices").rglob("*.xml")):
        if path.name not in ("invoice_1010.xml", "readme.xml"):
            lines, declared = line_sum(path)
            if lines != declared:
                different[path.name] = (lines, declared)
    assert different == {"invoice_1009.xml": (Decimal("106.70"), Decimal("116.70"))}


@pytest.mark.parametrize("name", ["invoice_1010.xml", "readme.xml"])
def test_broken_invoice_files_are_broken(name: str) -> None:
    with pytest.raises(etree.XMLSyntaxError):
        etree.parse(SAMPLE / "invoices" / name)


def test_publishers_use_different_prefixes_for_the_same_names() -> None:
    def names(file: str) -> set[str]:
        return {element.tag for element in etree.parse(SAMPLE / "invoices" / file).iter()}

    plain = names("invoice_1001.xml")
    assert names("invoice_1006.xml") == plain
    assert names("invoice_1007.xml") == plain
    assert b"<ns3:ID>" in (SAMPLE / "invoices" / "invoice_1006.xml").read_bytes()
    assert b"<ID>" in (SAMPLE / "invoices" / "invoice_1007.xml").read_bytes()


def test_readme_lists_every_invoice_file() -> None:
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    files = [path.relative_to(SAMPLE / "invoices").as_posix() for path in (SAMPLE / "invoices").rglob("*.xml")]
    assert [name for name in files if f"`{name}`" not in readme] == []
