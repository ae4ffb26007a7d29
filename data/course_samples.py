"""Course catalogue as a database extract delivers it: one row per version of a course, study material as an XML BLOB.

Ordinary courses are drawn at random from a fixed seed. Each trap is a function that makes the rows of one course; its
docstring has two lines, the trap and what must happen, and goes into the README beside the samples.
"""

import gzip
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa

FULL_LOAD = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
UPDATES = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SCHEMA = pa.schema(
    [
        ("course_id", pa.int64()),
        ("course_name", pa.string()),
        ("study_material_info", pa.binary()),
        ("updated_at", pa.timestamp("us", tz="UTC")),
    ]
)
SUBJECTS = ("Botany", "Algebra", "Optics", "Statistics", "Geology", "Logic", "Phonetics", "Acoustics", "Hydrology")
COURSES = ("First Steps in {}", "{} in Practice", "Advanced {}", "{} Seminar")
TITLES = ("A {} Reader", "{} Step by Step", "Notes on {}", "The {} Workbook", "Problems in {}")


class Course(NamedTuple):
    """One version of a course."""

    course_id: int
    course_name: str
    study_material_info: bytes | None
    updated_at: datetime = FULL_LOAD


class Delivery(NamedTuple):
    """The rows of one course: in the full load, and in the file of updates that comes later."""

    full: list[Course] = []
    updates: list[Course] = []


def catalog(*books: str) -> bytes:
    """The BLOB of a course: its books as one document, in UTF-8."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<catalog>{"".join(books)}</catalog>'.encode()


def book(title: str, *authors: str, year: int = 2020, price: str = "<price>25.00</price>", more: str = "") -> str:
    """One book; title, authors, price and more are markup."""
    names = "".join(f"<author>{author}</author>" for author in authors or ("Author A. 01",))
    return f'<book category="undergraduate">{title}{names}<year>{year}</year>{price}{more}</book>'


def title(text: str, lang: str = "en") -> str:
    """A title with its language."""
    return f"<title lang={quoteattr(lang)}>{escape(text)}</title>"


def ordinary(course_id: int, updated_at: datetime, rng: random.Random) -> Course:
    """A course without traps: one to four books of one to three authors."""
    subject = SUBJECTS[course_id % len(SUBJECTS)]
    books = []
    for name in rng.sample(TITLES, rng.randint(1, 4)):
        authors = [f"Author {rng.choice('ABCDEF')}. {rng.randint(1, 30):02}" for _ in range(rng.randint(1, 3))]
        price = f"<price>{rng.randint(1200, 9900) / 100:.2f}</price>"
        text = book(title(name.format(subject)), *authors, year=rng.randint(1995, 2025), price=price)
        books.append(text.replace("undergraduate", rng.choice(("undergraduate", "graduate", "reference"))))
    return Course(course_id, COURSES[course_id % len(COURSES)].format(subject), catalog(*books), updated_at)


def one_book_one_author(course_id: int) -> Delivery:
    """One book by one author.
    Book and author are lists all the same, because other courses have many."""
    return Delivery([Course(course_id, "Single Book", catalog(book(title("The Only Book"))))])


def many_books_many_authors(course_id: int) -> Delivery:
    """Three books, the second by three authors.
    Three books in their order; three authors in theirs."""
    authors = ("Author B. 02", "Author C. 03", "Author D. 04")
    books = book(title("First of Three")), book(title("Second of Three"), *authors), book(title("Third of Three"))
    return Delivery([Course(course_id, "Many Books", catalog(*books))])


def title_without_attribute(course_id: int) -> Delivery:
    """A title that has no lang attribute.
    The text is kept where titles with attributes have theirs; the language is null."""
    return Delivery([Course(course_id, "Plain Title", catalog(book("<title>No Language Given</title>")))])


def attribute_without_text(course_id: int) -> Delivery:
    """A title that has a lang attribute and no text.
    The language is kept, the text is null; the book is no member of a dimension of titles, and quarantine says so."""
    return Delivery([Course(course_id, "Title Still Open", catalog(book('<title lang="fr"/>')))])


def entities(course_id: int) -> Delivery:
    """Predefined and numeric entities in a title.
    The title reads `Café & Culture <draft>`."""
    text = '<title lang="en">Caf&#233; &amp; Culture &lt;draft&gt;</title>'
    return Delivery([Course(course_id, "Entities", catalog(book(text)))])


def cdata(course_id: int) -> Delivery:
    """A title in a CDATA section.
    The title reads `Less < More & Other Rules`."""
    return Delivery([Course(course_id, "CDATA", catalog(book("<title><![CDATA[Less < More & Other Rules]]></title>")))])


def comments(course_id: int) -> Delivery:
    """Comments between elements and inside a title.
    The title reads `Soil and Water`; comments leave no trace."""
    text = "<!-- checked --><title>Soil<!-- revised --> and Water</title>"
    return Delivery([Course(course_id, "Comments", catalog("<!-- one book -->", book(text)))])


def leading_zeros(course_id: int) -> Delivery:
    """An isbn that begins with zeros.
    It stays the text `0007300014`, never a number."""
    return Delivery([Course(course_id, "Zeros", catalog(book(title("Numbers"), more="<isbn>0007300014</isbn>")))])


def price_with_currency(course_id: int) -> Delivery:
    """A price that has a currency attribute.
    Amount and currency are both kept; elsewhere the currency is null."""
    price = '<price currency="SEK">250.00</price>'
    return Delivery([Course(course_id, "Foreign Price", catalog(book(title("Imported"), price=price)))])


def truncated(course_id: int) -> Delivery:
    """A BLOB that the extract has cut off.
    Its document is refused, with the reason and the original bytes; the other courses go on."""
    return Delivery([Course(course_id, "Cut Off", catalog(book(title("Long Story")), book(title("Lost")))[:150])])


def malformed(course_id: int) -> Delivery:
    """A BLOB whose tags do not match.
    Its document is refused, with line and column; the other courses go on."""
    blob = catalog(book(title("Mismatched Tags"))).replace(b"</author>", b"</year>", 1)
    return Delivery([Course(course_id, "Malformed", blob)])


def duplicate_in_file(course_id: int) -> Delivery:
    """The same row twice in one file.
    One is kept, one is counted as duplicate."""
    course = Course(course_id, "Sent Twice", catalog(book(title("Twice the Same"))))
    return Delivery([course, course])


def duplicate_in_files(course_id: int) -> Delivery:
    """The same row in both files.
    One is kept, one is counted as duplicate."""
    course = Course(course_id, "Sent Again", catalog(book(title("Again the Same"))))
    return Delivery([course], [course])


def late_update(course_id: int) -> Delivery:
    """A newer version in the file of updates.
    The newer version wins: name `Renamed Course`, price 32.50."""
    old = Course(course_id, "Course To Be Renamed", catalog(book(title("Changing Book"))))
    changed = catalog(book(title("Changing Book"), price="<price>32.50</price>"))
    return Delivery([old], [Course(course_id, "Renamed Course", changed, UPDATES)])


def older_version_arrives_late(course_id: int) -> Delivery:
    """An older version in the file of updates.
    The version of the full load stays, because it is newer: name `Current Name`."""
    old = Course(course_id, "Outdated Name", catalog(book(title("Old Book"))), FULL_LOAD - 90 * DAY)
    return Delivery([Course(course_id, "Current Name", catalog(book(title("Current Book"))))], [old])


def tie(course_id: int) -> Delivery:
    """Two versions with the same updated_at and different content.
    One is kept, the same one in every run and on both engines; the other is counted as duplicate."""
    prices = "<price>11.00</price>", "<price>12.00</price>"
    return Delivery([Course(course_id, "Tie", catalog(book(title("Tied Book"), price=price))) for price in prices])


def empty_blob(course_id: int) -> Delivery:
    """A BLOB of zero bytes.
    The course is kept, with no material, as if there were no BLOB."""
    return Delivery([Course(course_id, "Empty BLOB", b"")])


def null_blob(course_id: int) -> Delivery:
    """No BLOB at all.
    The course is kept, with no material."""
    return Delivery([Course(course_id, "No BLOB", None)])


def no_books(course_id: int) -> Delivery:
    """A catalog without books.
    The course is kept, with no books."""
    return Delivery([Course(course_id, "No Books", b"<catalog/>")])


def utf16(course_id: int) -> Delivery:
    """UTF-16 with byte order mark and declaration.
    The title reads `Wide Characters: äöü €`."""
    text = f'<?xml version="1.0" encoding="UTF-16"?><catalog>{book(title("Wide Characters: äöü €"))}</catalog>'
    return Delivery([Course(course_id, "UTF-16", b"\xff\xfe" + text.encode("utf-16-le"))])


def latin1(course_id: int) -> Delivery:
    """ISO-8859-1, as its declaration says.
    The title reads `Crème brûlée`."""
    text = f'<?xml version="1.0" encoding="ISO-8859-1"?><catalog>{book(title("Crème brûlée", "fr"))}</catalog>'
    return Delivery([Course(course_id, "Latin-1", text.encode("iso-8859-1"))])


def byte_order_mark(course_id: int) -> Delivery:
    """UTF-8 with a byte order mark.
    Read as if the mark were not there."""
    return Delivery([Course(course_id, "Byte Order Mark", b"\xef\xbb\xbf" + catalog(book(title("Marked"))))])


def gzipped(course_id: int) -> Delivery:
    """A BLOB that is compressed with gzip.
    Unpacked and read."""
    # Stored, not squeezed, and without the names of level and system: the same bytes from every zlib.
    blob = gzip.compress(catalog(book(title("Packed"))), compresslevel=0, mtime=0)
    return Delivery([Course(course_id, "Compressed", blob[:8] + b"\x00\xff" + blob[10:])])


def other_scripts(course_id: int) -> Delivery:
    """Greek and Chinese titles.
    Kept letter by letter."""
    books = book(title("Λόγος", "el")), book(title("数学", "zh"))
    return Delivery([Course(course_id, "Other Scripts", catalog(*books))])


def markup_in_name(course_id: int) -> Delivery:
    """A course whose name is a script.
    Pages show the name as text; nothing runs."""
    return Delivery([Course(course_id, "<script>alert('x')</script>", catalog(book(title("Harmless"))))])


def separators_in_name(course_id: int) -> Delivery:
    """A course name with a comma, a quote and a newline.
    Kept letter by letter, in exports too."""
    name = 'Reading, Writing and "Arithmetic"\nfor Beginners'
    return Delivery([Course(course_id, name, catalog(book(title("Three Rs"))))])


def new_element(course_id: int) -> Delivery:
    """An element `edition` that the full load does not have.
    It is reported as drift and kept, as a column or among what the schema did not know."""
    books = book(title("Second Edition"), more="<edition>2</edition>")
    return Delivery([], [Course(course_id, "New Element", catalog(books), UPDATES)])


TRAPS: tuple[Callable[[int], Delivery], ...] = (
    one_book_one_author,
    many_books_many_authors,
    title_without_attribute,
    attribute_without_text,
    entities,
    cdata,
    comments,
    leading_zeros,
    price_with_currency,
    truncated,
    malformed,
    duplicate_in_file,
    duplicate_in_files,
    late_update,
    older_version_arrives_late,
    tie,
    empty_blob,
    null_blob,
    no_books,
    utf16,
    latin1,
    byte_order_mark,
    gzipped,
    other_scripts,
    markup_in_name,
    separators_in_name,
    new_element,
)
FIRST_TRAP = 101


def deliveries(rng: random.Random) -> dict[str, pa.Table]:
    """The two files by name, in the order of their arrival."""
    full = [ordinary(course_id, FULL_LOAD + course_id * DAY / 24, rng) for course_id in range(1, 31)]
    # Two courses change, three are new.
    updates = [ordinary(course_id, UPDATES + course_id * DAY / 24, rng) for course_id in (3, 8, 31, 32, 33)]
    for course_id, trap in enumerate(TRAPS, start=FIRST_TRAP):
        rows = trap(course_id)
        full += rows.full
        updates += rows.updates
    return {
        "courses_full.parquet": pa.Table.from_pylist([row._asdict() for row in full], SCHEMA),
        "courses_updates.parquet": pa.Table.from_pylist([row._asdict() for row in updates], SCHEMA),
    }


def listed() -> list[tuple[str, str, str]]:
    """Each trap: the course, what is wrong with it, what must happen."""
    described = []
    for course_id, trap in enumerate(TRAPS, start=FIRST_TRAP):
        what, then = [line.strip().rstrip(".") for line in str(trap.__doc__).splitlines()]
        described.append((str(course_id), what, then))
    return described
