"""Queries of a step: text, or a `.sql` file beside the pipeline."""

from collections.abc import Sequence

from thresher import sql
from thresher.errors import SqlError
from thresher.frame import Frame
from thresher.lake import Lake
from thresher.project import names_file, text_of


def query(lake: Lake, text: str, *, sources: Sequence[str]) -> Frame:
    """The result of a step's query over exactly the datasets that the step says it reads.

    `text` is the query, or the path of a `.sql` file relative to the project. Raises UsageError when the file is
    not there, SqlError when the query reads a dataset that is not in `sources` (or the other way round): the order of a
    pipeline follows from what its steps say, so it must be true.
    """
    origin = text.strip() if names_file(text, ".sql") else "query"
    text = text_of(text, ".sql")
    read = set(sql.parse(text, origin).tables)
    for what, names in (
        ("reads {}, which the step does not name in its sources", read - set(sources)),
        ("does not read {}, which the step names in its sources", set(sources) - read),
    ):
        if names:
            raise SqlError(f"{origin} {what.format(', '.join(sorted(names)))}; sources: {', '.join(sources) or 'none'}")
    return lake.sql(text)
