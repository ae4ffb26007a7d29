"""The documents: four corpora made from a seed, and folders of real ones."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import convert_to_deltalake

SEED = 20260105
DOCUMENTS_PER_FILE = 10_000
WORDS = (
    "grain",
    "mill",
    "sieve",
    "chaff",
    "harvest",
    "barley",
    "straw",
    "wind",
    "field",
    "storage",
    "Spreu &amp; Weizen",
    "crème",
)

Make = Callable[[random.Random, int], str]


@dataclass(frozen=True)
class Corpus:
    """Documents, and the name of the element in them that repeats, by which results are compared."""

    name: str
    documents: pa.Array
    repeated: str = ""

    @property
    def bytes(self) -> int:
        """The size of the documents alone."""
        return pc.sum(pc.binary_length(self.documents)).as_py()


def _words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(WORDS, k=count))


def _date(rng: random.Random) -> str:
    return f"20{rng.randrange(10, 26)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"


def _course(rng: random.Random, number: int) -> str:
    """Ten columns, about 1.1 KB: a course with its books and their authors."""
    books = "".join(_book(rng) for _ in range(rng.randrange(2, 6)))
    return (
        f'<course code="C{number:06}"><credits>{rng.randrange(1, 31)}</credits><started>{_date(rng)}</started>'
        f"<note>{_words(rng, rng.randrange(20, 60))}</note>{books}</course>"
    )


def _book(rng: random.Random) -> str:
    authors = "".join(f"<author>Author {rng.randrange(2000)}</author>" for _ in range(rng.randrange(1, 4)))
    return (
        f'<book isbn="978-{rng.randrange(10**9):09}"><title>{_words(rng, 4)}</title>{authors}'
        f"<year>{rng.randrange(1950, 2026)}</year><price>{rng.randrange(500, 20000) / 100:.2f}</price>"
        f"<available>{rng.choice(('true', 'false'))}</available></book>"
    )


def _record(rng: random.Random, number: int) -> str:
    """400 columns in 20 groups, of which a document has half; about 4 KB."""
    groups = "".join(_group(rng, group) for group in range(20))
    return f"<record><note>{_words(rng, 10)}</note><line>{number}</line><line>{number + 1}</line>{groups}</record>"


def _group(rng: random.Random, group: int) -> str:
    values = (_date(rng), str(rng.randrange(10**6)), f"{rng.random():.6f}", rng.choice(WORDS))
    present = (column for column in range(20) if rng.random() < 0.5)
    fields = "".join(f"<f{column}>{values[column % 4]}</f{column}>" for column in present)
    return f"<group{group}>{fields}</group{group}>"


def _nested(rng: random.Random, number: int) -> str:
    """24 levels, each with a label; about 1 KB."""
    inner = "".join(f"<leaf>{rng.randrange(1000)}</leaf>" for _ in range(rng.randrange(2, 5)))
    for level in range(24, 1, -1):
        inner = f"<level{level}><label>{rng.choice(WORDS)}</label>{inner}</level{level}>"
    return f"<nested><note>number {number}</note>{inner}</nested>"


def _measured(rng: random.Random, number: int) -> str:
    """Ten elements of twelve attributes each; about 2 KB."""
    return f"<series><note>number {number}</note>{''.join(_point(rng) for _ in range(10))}</series>"


def _point(rng: random.Random) -> str:
    numbers = " ".join(f'value{at}="{rng.randrange(10**5)}"' for at in range(10))
    return f'<point on="{_date(rng)}" unit="{rng.choice(WORDS)}" {numbers}/>'


# The repeated element, and the bytes of each corpus as a part of the first one's.
_MADE: dict[str, tuple[Make, str, float]] = {
    "courses": (_course, "book", 1.0),
    "wide": (_record, "line", 0.3),
    "deep": (_nested, "leaf", 0.3),
    "attributes": (_measured, "point", 0.3),
}


def courses(documents: int) -> Corpus:
    """The corpus of ten columns; the same bytes each time."""
    rng = random.Random(SEED)
    return Corpus("courses", pa.array([_course(rng, number) for number in range(documents)]), "book")


def made(documents: int) -> Iterator[Corpus]:
    """The four corpora; `documents` is the size of the first, the others have 0.3 times its bytes."""
    size = courses(documents).bytes
    for name, (make, repeated, part) in _MADE.items():
        rng = random.Random(SEED)
        yield Corpus(name, pa.array(_up_to(size * part, (make(rng, number) for number in range(10**9)))), repeated)


def _up_to(size: float, documents: Iterator[str]) -> Iterator[str]:
    while size > 0:
        document = next(documents)
        size -= len(document.encode())
        yield document


def real(folder: Path, megabytes: float = 30) -> Iterator[Corpus]:
    """One corpus for each folder below the given one: its documents, repeated up to a size."""
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        blobs = [file.read_bytes() for file in sorted(each.rglob("*")) if file.is_file()]
        documents = [blob for blob in blobs if b"<" in blob[:8]]
        if documents:
            size = sum(map(len, documents))
            times = max(1, round(megabytes * 1e6 / size))
            yield Corpus(each.name, pa.array(documents * times, pa.binary()))


def write_source(folder: Path, corpus: Corpus, megabytes: float | None = None) -> int:
    """Write documents as a Delta table of Parquet files, repeated up to a size; how many there are."""
    folder.mkdir(parents=True)
    table = pa.table({"id": pa.array(range(len(corpus.documents)), pa.int64()), "document": corpus.documents})
    parts = [table.slice(at, DOCUMENTS_PER_FILE) for at in range(0, len(table), DOCUMENTS_PER_FILE)]
    left = len(table) if megabytes is None else round(megabytes * 1e6 * len(table) / corpus.bytes)
    written = 0
    for number, part in enumerate(cycle(parts)):
        if left <= written:
            break
        part = part.slice(0, left - written)
        pq.write_table(part, folder / f"part-{number:05}.parquet")
        written += len(part)
    convert_to_deltalake(folder)
    return written
