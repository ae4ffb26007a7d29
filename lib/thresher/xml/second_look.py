"""What the compiled loops left, as plain text: behind a DOCTYPE, an encoding or gzip there may be nothing hard."""

import re
from collections.abc import Iterable

import pyarrow as pa

from thresher.xml.arrays import Part
from thresher.xml.decoding import Refused, text_of
from thresher.xml.options import Options

_DECLARATION = re.compile(r"\s*<\?xml\s")
_USUAL_DECLARATION = re.compile(rb"""\A<\?xml version=["']1\.0["'](?: encoding=["']utf-8["'])?\?>""", re.IGNORECASE)
# Fewer are read sooner by the reference.
WORTH_IT = 8


def plain_texts(part: Part, rows: Iterable[int], options: Options) -> tuple[Part, list[int]]:
    """The texts of those rows that can be decoded, and their rows.

    >>> part = Part(pa.array(["<!DOCTYPE p><p>1</p>".encode("utf-16"), b"\\xff"] * 8), False)
    >>> texts, found = plain_texts(part, range(16), Options())
    >>> texts.documents[0].as_py().strip(), found[:3]
    ('<p>1</p>', [0, 2, 4])
    """
    texts: list[str] = []
    found: list[int] = []
    rows = list(rows)
    for row in rows if len(rows) >= WORTH_IT else []:
        document, is_text = part.at(row)
        if document is None:
            continue
        try:
            text = text_of(document, options, is_utf8=is_text)
            content = text.encode()
        except (Refused, UnicodeEncodeError):
            continue
        if not content or _DECLARATION.match(text):
            continue  # to the loops it would be no document; or it stood behind something that is blank now
        if isinstance(document, bytes) and content.lstrip() == _USUAL_DECLARATION.sub(b"", document, count=1).lstrip():
            continue  # it was plain before
        texts.append(text)
        found.append(row)
    return Part(pa.array(texts, pa.large_string()), True), found
