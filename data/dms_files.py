"""Files as AWS DMS writes them into a bucket: CSV of a full load, and of the changes after it."""

import csv
import io
from collections.abc import Iterable, Sequence

FULL_LOAD = "LOAD00000001.csv"


def csv_file(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV, with quotes only where they are needed; None is an empty field.

    >>> csv_file([("U", 2, 'a "b", c', None)])
    b'U,2,"a ""b"", c",\\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
