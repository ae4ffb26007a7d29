"""What reading XML costs: from documents to typed Arrow values and to Delta tables, beside what else reads XML.

    python benchmarks/xml.py [--documents 100000] [--rounds 3] [--only SECTION] [--full] [--real FOLDER]
                             [--peers-python PYTHON] [--without-spark]

| section | what it measures |
|---|---|
| in-process | documents in memory → values in memory: four corpora from a seed, and real documents by our own ways |
| end-to-end | Parquet → Delta on the embedded engine, on Spark (its `from_xml`, and ours in `mapInArrow`) and on Sail |
| growth | Parquet → Delta from 10 MB to 1 GB, to 5 GB with `--full`: time, processor time, peak memory |
| compile | the first use after installation, and the first use in each later process |

Every way runs in a process of its own; each round runs all ways, one after the other, and the tables show medians. The
first, unmeasured run of a way is checked: documents, repeated elements and characters must be those of `xml.parse`.

Peers that are not installed are named and left out: `pip install pysail pyspark-client xmltodict-rs xml2arrow`, best
in an environment of their own, whose Python is given by `--peers-python`. The folders below `--real` are read in place.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import corpora
import end_to_end
import in_process
import pyarrow as pa
from corpora import Corpus
from rounds import Figures, agreement, compare

from thresher import xml
from thresher.engines import check_available, spark_server
from thresher.errors import EngineUnavailable

SIZES_MB = (10, 100, 1_000)
FULL_MB = 5_000


@dataclass(frozen=True)
class Chosen:
    """The command line."""

    documents: int
    rounds: int
    only: str | None
    full: bool
    real: Path | None
    peers_python: str
    without_spark: bool


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table whose first column is text."""
    print(f"| {' | '.join(heads)} |\n|---|{'---:|' * (len(heads) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print()


def name_absent(found: Mapping[str, Figures]) -> None:
    """Say which ways could not run, and what to do."""
    for way, figures in found.items():
        if figures.absent:
            print(f"Left out: {way}: {figures.absent}")
    if any("No module named" in figures.absent for figures in found.values()):
        print("Install peers with `pip install pysail pyspark-client xmltodict-rs xml2arrow` (see --peers-python).")


def ran(found: Mapping[str, Figures]) -> dict[str, Figures]:
    """Those that have figures."""
    return {way: figures for way, figures in found.items() if figures.runs}


def written(folder: Path, corpus: Corpus) -> dict[str, str]:
    """A corpus and its schema as files, for the processes that read them."""
    documents = folder / "documents.arrow"
    with pa.OSFile(str(documents), "wb") as file:
        one = pa.table({"document": corpus.documents})
        with pa.ipc.new_file(file, one.schema) as writer:
            writer.write_table(one)
    schema = folder / "schema.json"
    schema.write_text(xml.discover(corpus.documents).to_json(), encoding="utf-8")
    return {"documents": str(documents), "schema": str(schema), "repeated": corpus.repeated}


def ours(found: Mapping[str, Figures], way: str) -> Figures:
    """The figures that the others are compared with; without them nothing can be said."""
    if not found[way].runs:
        raise SystemExit(f"{way}: {found[way].absent}")
    return found[way]


def in_memory(chosen: Chosen) -> None:
    """Documents in memory → values in memory."""
    pythons = dict.fromkeys(in_process.PEERS, chosen.peers_python)
    for corpus in corpora.made(chosen.documents):
        with tempfile.TemporaryDirectory() as folder:
            job = written(Path(folder), corpus)
            print(f"\n### {corpus.name}: {described(corpus)}\n")
            found = compare("in_process", list(in_process.WAYS), job, chosen.rounds, pythons)
        against_parse(found)
    if chosen.real:
        real_documents(chosen)


def described(corpus: Corpus) -> str:
    count = len(corpus.documents)
    return f"{count:,} documents, {corpus.bytes / 1e6:.1f} MB, {corpus.bytes / count:,.0f} bytes each"


def against_parse(found: Mapping[str, Figures]) -> None:
    """One row for each way, with how many times as fast `xml.parse` is."""
    name_absent(found)
    first = ours(found, in_process.PARSE)
    heads = ("way", "MB/s", "MB per CPU-second", "xml.parse is × as fast", "by CPU", "same result")
    table(
        heads,
        (
            (
                way,
                f"{figures.megabytes_per_second:,.1f}",
                f"{figures.megabytes_per_cpu_second:,.1f}",
                f"{first.megabytes_per_second / figures.megabytes_per_second:.2f}",
                f"{first.megabytes_per_cpu_second / figures.megabytes_per_cpu_second:.2f}",
                agreement(figures, first),
            )
            for way, figures in ran(found).items()
        ),
    )


def real_documents(chosen: Chosen) -> None:
    """Folders of real documents, by our own ways: MB per CPU-second, and by the clock."""
    assert chosen.real is not None
    rows = []
    for corpus in corpora.real(chosen.real):
        with tempfile.TemporaryDirectory() as folder:
            job = written(Path(folder), corpus)
            columns = leaves(xml.Schema.from_json(Path(job["schema"]).read_text(encoding="utf-8")).arrow_type)
            found = compare("in_process", in_process.OURS, job, chosen.rounds, {})
        name_absent(found)
        agreements = {agreement(figures, found[in_process.PARSE]) for figures in found.values()}
        same = "; ".join(sorted(agreements - {"yes"})) or "yes"
        rows.append((corpus.name, f"{corpus.bytes / 1e6:.0f}", f"{columns:,}", *map(both_speeds, found.values()), same))
    print("\n### Real documents: MB per CPU-second (MB/s)\n")
    table(("folder", "MB", "columns", *in_process.OURS, "same result"), rows)


def both_speeds(figures: Figures) -> str:
    """By the processor's time, and by the clock."""
    if not figures.runs:
        return "–"
    return f"{figures.megabytes_per_cpu_second:,.1f} ({figures.megabytes_per_second:,.1f})"


def leaves(kind: pa.DataType) -> int:
    """How many columns of plain values a type has."""
    if pa.types.is_list(kind):
        return leaves(kind.value_type)
    return sum(leaves(field.type) for field in kind) if pa.types.is_struct(kind) else 1


def to_delta(chosen: Chosen) -> None:
    """Parquet → Delta, on every engine."""
    corpus = corpora.courses(chosen.documents)
    ways = [way for way in end_to_end.WAYS if not (chosen.without_spark and way.startswith("Spark"))]
    with tempfile.TemporaryDirectory() as folder, own_spark(folder, wanted=not chosen.without_spark) as has_spark:
        schema = xml.discover(corpus.documents)
        file = Path(folder, "schema.json")
        file.write_text(schema.to_json(), encoding="utf-8")
        corpora.write_source(Path(folder, "lake", "raw", "documents"), corpus)
        job = {
            "lake": f"{folder}/lake",
            "schema": str(file),
            "ddl": schema.ddl,
            "repeated": corpus.repeated,
            "size": corpus.bytes,
        }
        ways = [way for way in ways if has_spark or not way.startswith("Spark")]
        found = compare("end_to_end", ways, job, chosen.rounds, dict.fromkeys(end_to_end.PEERS, chosen.peers_python))
    print(f"\n### Parquet → Delta, warm: {described(corpus)}\n")
    name_absent(found)
    first = ours(found, end_to_end.OURS)
    table(
        ("way", "s", "CPU s", "MB/s", "MB per CPU-second", "times ours", "by CPU", "peak MB", "same result"),
        (
            (
                way,
                f"{figures.median('seconds'):.2f}",
                f"{figures.median('cpu'):.2f}",
                f"{figures.megabytes_per_second:,.1f}",
                f"{figures.megabytes_per_cpu_second:,.1f}",
                f"{figures.median('seconds') / first.median('seconds'):.1f}",
                f"{figures.median('cpu') / first.median('cpu'):.1f}",
                f"{figures.median('peak'):,.0f}",
                agreement(figures, first),
            )
            for way, figures in ran(found).items()
        ),
    )


@contextmanager
def own_spark(folder: str, *, wanted: bool) -> Iterator[bool]:
    """A Spark server that does nothing else; false where there can be none."""
    if not wanted:
        yield False
        return
    try:
        check_available("spark")
    except EngineUnavailable as error:
        print(f"Left out: Spark: {error}")
        yield False
        return
    os.environ["THRESHER_SPARK_HOME"] = f"{folder}/spark"
    try:
        yield True
    finally:
        spark_server.stop()
        del os.environ["THRESHER_SPARK_HOME"]


def growing(chosen: Chosen) -> None:
    """Parquet → Delta on the embedded engine, each size in a fresh process."""
    corpus = corpora.courses(chosen.documents)
    rows = []
    for size in (*SIZES_MB, *((FULL_MB,) if chosen.full else ())):
        with tempfile.TemporaryDirectory() as lake:
            documents = corpora.write_source(Path(lake, "raw", "documents"), corpus, size)
            print(f"  {size:,} MB …", file=sys.stderr)
            found = json.loads(answer_of("growth.py", lake))
        same = "yes" if found["rows"] == documents else f"**{found['rows']:,}, not {documents:,}**"
        seconds = found["discover"] + found["flatten"]
        rows.append(
            (
                f"{size:,}",
                f"{found['discover']:.2f}",
                f"{found['discover_cpu']:.2f}",
                f"{found['flatten']:.2f}",
                f"{found['flatten_cpu']:.2f}",
                f"{size / seconds:,.1f}",
                f"{found['peak']:,.0f}",
                same,
            )
        )
    print("\n### Growth: Parquet → Delta on the embedded engine, each size in a fresh process\n")
    heads = ("MB", "discover s", "CPU s", "flatten and write s", "CPU s", "MB/s of both", "peak MB", "all documents")
    table(heads, rows)


def compiling(_: Chosen) -> None:
    """The first use with an empty cache of compiled code, and the first uses of later processes."""
    with tempfile.TemporaryDirectory() as folder:
        documents = Path(folder, "documents.json")
        documents.write_text(json.dumps(corpora.courses(100).documents.to_pylist()), encoding="utf-8")
        cache = os.environ | {"NUMBA_CACHE_DIR": f"{folder}/cache"}
        rows = []
        for process in ("first use after installation", "second process", "third process"):
            print(f"  {process} …", file=sys.stderr)
            found = json.loads(answer_of("first_use.py", str(documents), environment=cache))
            rows.append((process, *(f"{found[step]:.2f}" for step in found), f"{sum(found.values()):.2f}"))
    print("\n### Compiling\n")
    table(("process", "import s", "first discover s", "first parse s", "all s"), rows)


def answer_of(program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What a program beside this one prints."""
    command = [sys.executable, str(Path(__file__).with_name(program)), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed; see the error above")
    return done.stdout


SECTIONS: dict[str, Callable[[Chosen], None]] = {
    "in-process": in_memory,
    "end-to-end": to_delta,
    "growth": growing,
    "compile": compiling,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="xml.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=100_000, help="of the course corpus (default 100000: 110 MB)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured (default 3)")
    parser.add_argument("--only", choices=SECTIONS, help="one section alone (default: all)")
    parser.add_argument("--full", action="store_true", help="growth up to 5 GB, which takes disk space of that size")
    parser.add_argument("--real", type=Path, help="a folder with folders of real documents (default: none)")
    parser.add_argument("--peers-python", default=sys.executable, help="the Python that has the peers (default: this)")
    parser.add_argument("--without-spark", action="store_true", help="leave out Spark, which takes minutes")
    chosen = Chosen(**vars(parser.parse_args()))
    print(f"{os.cpu_count()} cores, medians of {chosen.rounds} rounds")
    for name, section in SECTIONS.items():
        if chosen.only in (None, name):
            section(chosen)


if __name__ == "__main__":
    main()
