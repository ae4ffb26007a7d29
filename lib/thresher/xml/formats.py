"""Which files stand at a place, and what format they have."""

from collections import Counter
from gzip import GzipFile
from pathlib import Path

from thresher.errors import UsageError
from thresher.xml.charsets import looks_ebcdic
from thresher.xml.readers import UNREADABLE, name_in

FORMATS = ("parquet", "delta", "csv", "jsonl", "xml")

_SUFFIXES = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xml": "xml",
}
# XML that says something about documents, and what looks like it.
_ABOUT = {".dtd", ".htm", ".html", ".xhtml", ".xsd", ".xsl", ".xslt"}
_HEAD = 512


def files_at(place: Path) -> list[Path]:
    if not place.exists():
        raise UsageError(f"{place}: there is no such file or folder")
    if not place.is_file() and not place.is_dir():
        raise UsageError(f"{place}: found a stream, which can be read only once; save it to a file, and read that")
    if place.is_file() or (place / "_delta_log").is_dir():
        return [place]
    paths = (path for path in place.rglob("*") if not path.is_dir())
    shown = [path for path in paths if not any(part[0] in "._" for part in path.relative_to(place).parts)]
    if not shown:
        raise UsageError(f"{place}: the folder holds no files")
    return sorted(shown)


def recognised(place: Path, files: list[Path]) -> tuple[str, list[Path], list[str]]:
    """The format of the files, those that have it, and the names of those that have none."""
    formats = {path: _format_of(path) for path in files}
    counts = Counter(found for found in formats.values() if found)
    if len(counts) > 1:
        found = ", ".join(f"{count} {format}" for format, count in sorted(counts.items()))
        raise UsageError(f"{place}: the folder holds files of several formats ({found}); name the one to read")
    if not counts:
        raise UsageError(f"{place}: the format cannot be told; name one of {', '.join(FORMATS)}")
    (format,) = counts
    good = [path for path, found in formats.items() if found]
    return format, good, [name_in(place, path) for path, found in formats.items() if not found]


def _format_of(path: Path) -> str | None:
    if path.is_dir():
        return "delta"
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    head = _head(path)
    if head.startswith(b"PAR1"):
        return "parquet"
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    plain = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")
    if suffix not in _ABOUT and (plain.startswith(b"<") or looks_ebcdic(head)):
        return "xml"
    return "jsonl" if plain.startswith(b"{") else None


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if head.startswith(b"\x1f\x8b"):
                file.seek(0)
                head = GzipFile(fileobj=file).read(_HEAD)
            return head
    except UNREADABLE:
        return b""
