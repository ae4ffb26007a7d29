"""Arrays that have one item at most, and stand as columns of their parent's table."""

from thresher.errors import DataError, UsageError
from thresher.xml.options import Options, dotted, path_parts
from thresher.xml.schema import Schema
from thresher.xml.structure import fold


def folded(path: tuple[str, ...]) -> tuple[str, ...]:
    """A path in the form in which paths are compared."""
    return tuple(map(fold, path))


def require_single(schema: Schema, options: Options) -> None:
    """Raise DataError where a path to elevate has been seen several times in one parent."""
    wanted = {folded(path_parts(path)) for path in options.elevate}
    for shape in (shape for _, shape in schema.shape.walk() if wanted):
        if shape.is_array and shape.node.repeats > 1 and folded(shape.path) in wanted:
            raise DataError(
                f"xml option elevate: {dotted(shape.path)} was seen {shape.node.repeats} times in one parent, whose "
                f"one row has no room for that. Take it out of elevate, and it is a table of its own."
            )


def elevated(schema: Schema, options: Options) -> frozenset[tuple[str, ...]]:
    """The paths to elevate, folded. Raises UsageError for one that the schema lacks, DataError for one that repeats."""
    if not options.elevate:
        return frozenset()
    require_single(schema, options)
    there = {folded(shape.path) for _, shape in schema.shape.walk()}
    missing = [path for path in options.elevate if folded(path_parts(path)) not in there]
    if missing:
        raise UsageError(f"xml option elevate: the documents have no path {missing[0]}. Declare it, or take it out.")
    return frozenset(folded(path_parts(path)) for path in options.elevate)
