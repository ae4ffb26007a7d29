"""Ways from documents in memory to something in memory. Each takes a job and gives a `Task`.

What takes seconds per megabyte reads only the first documents, `PART` bytes of them.
"""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sums import Sums, of_arrow, of_json, of_trees
from worker import Task

PART = 4_000_000

COURSE_TABLES = """
tables:
  - name: course
    xml_path: /courses
    levels: [course]
    fields:
      - {name: code, xml_path: /courses/course/@code, data_type: Utf8}
      - {name: credits, xml_path: /courses/course/credits, data_type: Int64}
      - {name: started, xml_path: /courses/course/started, data_type: Utf8}
      - {name: note, xml_path: /courses/course/note, data_type: Utf8}
  - name: book
    xml_path: /courses/course/books
    levels: [course, book]
    fields:
      - {name: isbn, xml_path: /courses/course/books/book/@isbn, data_type: Utf8}
      - {name: title, xml_path: /courses/course/books/book/title, data_type: Utf8}
      - {name: year, xml_path: /courses/course/books/book/year, data_type: Int64}
      - {name: price, xml_path: /courses/course/books/book/price, data_type: Float64}
      - {name: available, xml_path: /courses/course/books/book/available, data_type: Boolean}
  - name: author
    xml_path: /courses/course/books/book/authors
    levels: [course, book, author]
    fields:
      - {name: author, xml_path: /courses/course/books/book/authors/author, data_type: Utf8}
"""


def loaded(documents: str) -> pa.Array:
    """The documents of a corpus: the one column of an Arrow file."""
    with pa.OSFile(documents) as file:
        return pa.ipc.open_file(file).read_all().column(0).combine_chunks()


def sized(column: pa.Array) -> int:
    """How many bytes the documents alone have."""
    return pc.sum(pc.binary_length(column)).as_py() or 0


def part(documents: str) -> list[bytes]:
    """The first documents."""
    found, size = [], 0
    for value in loaded(documents):
        found.append(bytes(value.as_buffer()))
        size += len(found[-1])
        if size >= PART:
            break
    return found


def task_of(blobs: list[bytes], run: Callable[[], Any], sums: Callable[[Any], Sums]) -> Task:
    """A task that reads the first documents."""
    return Task(run, lambda result: _first(sums(result)), sum(map(len, blobs)))


def _first(sums: Sums) -> Sums:
    return {f"first {name}": count for name, count in sums.items()}


def _parse(threads: int) -> Callable[..., Task]:
    def ready(documents: str, schema: str, repeated: str) -> Task:
        from thresher import xml

        column, known = loaded(documents), xml.Schema.from_json(Path(schema).read_text(encoding="utf-8"))

        def sums(parsed: xml.Parsed) -> Sums:
            first = parsed.values[: len(part(documents))]
            return of_arrow(parsed.values, repeated) | _first(of_arrow(first, repeated))

        return Task(lambda: xml.parse(column, known, threads=threads), sums, sized(column))

    return ready


def _parse_changed(change: Callable[[bytes], bytes], is_refused: bool = False) -> Callable[..., Task]:
    """The first documents with something in each of them that is not plain."""

    def ready(documents: str, schema: str, repeated: str) -> Task:
        from thresher import xml

        blobs = [change(blob) for blob in part(documents)]
        column, known = pa.array(blobs, pa.binary()), xml.Schema.from_json(Path(schema).read_text(encoding="utf-8"))

        def sums(parsed: xml.Parsed) -> Sums:
            return {} if is_refused else of_arrow(parsed.values, repeated)

        return task_of(blobs, lambda: xml.parse(column, known, threads=1), sums)

    return ready


def _with_doctype(blob: bytes) -> bytes:
    if b"<!DOCTYPE" in blob or b"\0" in blob[:4]:  # in UTF-16 it is hard already
        return blob
    return re.sub(rb"^(\xef\xbb\xbf)?\s*(<\?xml.*?\?>)?", rb"\1\2<!DOCTYPE any>", blob, count=1)


def _with_subset(blob: bytes) -> bytes:
    return _with_doctype(blob).replace(b"<!DOCTYPE any>", b"<!DOCTYPE any [<!ELEMENT any ANY>]>", 1)


def _with_unknown(blob: bytes) -> bytes:
    return _before_the_end(blob, b"<unknown>1</unknown>")


def _with_mismatch(blob: bytes) -> bytes:
    return _before_the_end(blob, b"</mismatch>")


def _before_the_end(blob: bytes, more: bytes) -> bytes:
    end = blob.rindex(b"</")
    return blob[:end] + more + blob[end:]


def _discover(documents: str, schema: str, repeated: str) -> Task:
    from thresher import xml

    column = loaded(documents)

    def sums(found: xml.Schema) -> Sums:
        paths = found.paths.select(["path", "occurrences"]).to_pylist()
        count = sum(path["occurrences"] for path in paths if path["path"].split(".")[-1] == repeated)
        return {"documents": found.documents} | ({"repeated": count} if repeated else {})

    return Task(lambda: xml.discover(column), sums, sized(column))


def _scan(documents: str, schema: str, repeated: str) -> Task:
    """The largest byte: what the memory gives."""
    import numpy as np

    column = loaded(documents)
    data = np.frombuffer(column.buffers()[2], np.uint8)
    return Task(data.max, lambda _: {}, len(data))


def _expat(documents: str, schema: str, repeated: str) -> Task:
    from xml.parsers.expat import ParserCreate

    blobs = part(documents)

    def run() -> int:
        return sum(ParserCreate().Parse(blob, True) for blob in blobs)

    return task_of(blobs, run, lambda read: {"documents": read})


def _lxml(documents: str, schema: str, repeated: str) -> Task:
    from lxml import etree

    blobs = part(documents)
    return task_of(blobs, lambda: [etree.fromstring(blob) for blob in blobs], lambda trees: of_trees(trees, repeated))


def _xmltodict(documents: str, schema: str, repeated: str) -> Task:
    import xmltodict

    return _as_json(xmltodict.parse, part(documents), repeated)


def _xmltodict_rs(documents: str, schema: str, repeated: str) -> Task:
    import xmltodict_rs

    return _as_json(xmltodict_rs.parse, part(documents), repeated)


def _as_json(parse: Callable[[bytes], Any], blobs: list[bytes], repeated: str) -> Task:
    return task_of(blobs, lambda: [json.dumps(parse(blob)) for blob in blobs], lambda texts: of_json(texts, repeated))


def _xml2arrow(documents: str, schema: str, repeated: str) -> Task:
    """All courses as one document, which is how it reads many rows; three flat tables.

    Every child of a table's element is a row to it: books and authors get parents that have no other children.
    """
    from xml2arrow import XmlToArrowParser

    if repeated != "book":
        raise ImportError("its tables are declared by hand, here only those of courses")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as tables:
        tables.write(COURSE_TABLES)
        tables.flush()
        parser = XmlToArrowParser(tables.name)
    blobs = part(documents)
    document = b"<courses>" + b"".join(_with_parents(blob) for blob in blobs) + b"</courses>"

    def sums(found: dict[str, pa.RecordBatch]) -> Sums:
        notes = found["course"]["note"].to_pylist()
        return {
            "documents": len(notes),
            "repeated": found["book"].num_rows,
            "characters": sum(len(note) for note in notes),
        }

    return task_of(blobs, lambda: parser.parse(document), sums)


def _with_parents(blob: bytes) -> bytes:
    blob = re.sub(rb"(<book .*</book>)", rb"<books>\1</books>", blob)
    return re.sub(rb"(<author>.*?</author>)(?=<year>)", rb"<authors>\1</authors>", blob)


PARSE, PARSE_2, DISCOVER, HARD = "xml.parse, 1 thread", "xml.parse, 2 threads", "xml.discover", "xml.parse, DOCTYPE"
OURS = (PARSE, PARSE_2, DISCOVER, HARD)
WAYS: dict[str, Callable[..., Task]] = {
    PARSE: _parse(1),
    PARSE_2: _parse(2),
    DISCOVER: _discover,
    HARD: _parse_changed(_with_doctype),
    "xml.parse, DOCTYPE with declarations": _parse_changed(_with_subset),
    "xml.parse, an unknown element": _parse_changed(_with_unknown),
    "xml.parse, mismatched tag": _parse_changed(_with_mismatch, is_refused=True),
    "memory scan (numpy)": _scan,
    "expat without handlers": _expat,
    "lxml.fromstring": _lxml,
    "xml2arrow": _xml2arrow,
    "xmltodict_rs + json": _xmltodict_rs,
    "xmltodict + json": _xmltodict,
}
# These run on the peers' Python; the others need what the project needs.
PEERS = ("xml2arrow", "xmltodict_rs + json")
