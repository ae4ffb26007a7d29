"""Documents of third parties: nothing crashes, nothing is lost, and nothing is refused that another parser reads."""

from pathlib import Path

import pytest
from lxml import etree

from thresher import xml

FOLDERS = ["fhir", "gpx", "hl7_ccda", "iso20022", "ota_hotel", "ubl_peppol"]


def files_in(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".xml", ".gpx"))
    if not files:
        pytest.skip(f"no XML files in {folder}")
    return files


def is_well_formed(content: bytes) -> bool:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        etree.fromstring(content, parser)
    except etree.XMLSyntaxError:
        # An undeclared prefix is no error here: names are read as written.
        return all(entry.domain_name == "NAMESPACE" for entry in parser.error_log)
    return True


@pytest.mark.parametrize("folder", FOLDERS)
def test_documents_of_standards(realdata: Path, folder: str) -> None:
    files = files_in(realdata / "xml" / folder)
    documents = [file.read_bytes() for file in files]

    schema = xml.discover(documents)
    parsed = xml.parse(documents, schema)
    made = xml.tables(documents, schema, [str(file) for file in files])

    refused = set(parsed.errors["row"].to_pylist())
    assert refused == {row for row, content in enumerate(documents) if not is_well_formed(content)}
    assert set(parsed.errors["path"].to_pylist()) <= {""}
    assert parsed.rescued.null_count == len(documents)
    assert schema.documents == len(documents) - len(refused)
    assert xml.Schema.from_json(schema.to_json()).arrow_type == schema.arrow_type
    seen = schema.paths.to_pylist()
    repeated = {row["path"]: row["occurrences"] for row in seen if row["type"].startswith("array<")}
    layout = xml.table_layout(schema)
    assert {table.path: made[name].num_rows for name, table in layout.items() if table.parent} == repeated


def test_attacks_and_odd_encodings_are_refused_or_read_and_never_crash(realdata: Path) -> None:
    files = [path for path in sorted((realdata / "xml_pathological").rglob("*")) if path.is_file()]
    documents = [file.read_bytes() for file in files]

    parsed = xml.parse(documents, xml.discover(documents))

    rules = {
        row: rule for row, rule in zip(*(parsed.errors[name].to_pylist() for name in ("row", "rule")), strict=True)
    }
    for row, (file, content) in enumerate(zip(files, documents, strict=True)):
        if b"<!ENTITY" in content and is_well_formed(content):
            assert rules[row] == "entities", file.name
        else:
            assert (row not in rules) == is_well_formed(content), file.name
