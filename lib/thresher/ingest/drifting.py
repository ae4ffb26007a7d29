"""Files whose columns differ from those of the dataset: it grows, the rest is kept aside, or the load is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from thresher.errors import DataError, SchemaMismatch, UsageError
from thresher.ingest.columns import Columns, Kind, Survey, as_text, type_of, wider, without_void
from thresher.types import ddl
from thresher.xml.votes import NUMBERS, Votes

POLICIES = ("evolve", "rescue", "refuse")
DRIFT = pa.schema([(name, pa.string()) for name in ("column", "change", "before", "after", "file")])
_FAMILIES = (NUMBERS, frozenset({"date", "timestamp_ntz"}), frozenset({"timestamp"}), frozenset({"boolean"}))


@dataclass(frozen=True)
class Settled:
    """By which columns a load is read.

    `columns`: those of the dataset after the load, in order. `wider`: columns of the dataset that get another type.
    `drift`: one row per column that differs: change (new, missing, changed), types before and after, the first file.
    `refused`: the files that contradict the rest, with the reason.
    """

    columns: pa.Schema
    wider: Mapping[str, pa.DataType]
    drift: Sequence[Mapping[str, str]]
    refused: Mapping[str, str]


def settle(known: pa.Schema | None, surveys: Mapping[str, Survey], policy: str, target: str) -> Settled:
    """Join the columns of a dataset with those of files, by name, in the way of a policy.

    | policy | columns | what has no place |
    |---|---|---|
    | evolve | all of both; a type that holds the values of both | rows with a value that is none of its column |
    | rescue | those of the dataset | goes to `_rescued` as JSON |
    | refuse | those of the dataset | DataError: nothing is loaded |

    A column of text becomes text where half of its values or more are none of its type; fewer are refused row by row.
    """
    if policy not in POLICIES:
        raise UsageError(f"on_drift={policy!r}; expected one of {', '.join(POLICIES)}")
    found = Columns()
    first: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name, survey in surveys.items():
        try:
            _check(known, survey, is_rescued=policy == "rescue")
            found = found.merged(survey)
        except SchemaMismatch as error:
            refused[name] = str(error)
            continue
        for column in survey.columns:
            first.setdefault(column.lower(), name)
    if known is None:
        return Settled(found.schema, {}, [], refused)
    settled = _joined(known, found)
    drift = _drift(known, found, settled, first) if found.kinds else []
    if policy == "refuse" and drift:
        raise _refusal(target, drift)
    if policy == "rescue":
        return Settled(known, {}, drift, refused)
    changed = {each.name: settled.field(each.name).type for each in known if settled.field(each.name).type != each.type}
    return Settled(settled, changed, drift, refused)


def retyped(known: pa.Schema, surveys: Mapping[str, Survey]) -> list[str]:
    """The columns of text of a dataset that have a type of their own in a file.

    >>> retyped(pa.schema([("n", pa.string())]), {"a.json": Survey({"N": pa.float64()})})
    ['n']
    """
    typed = {
        name.lower()
        for survey in surveys.values()
        for name, kind in survey.columns.items()
        if not isinstance(kind, Votes) and kind not in (pa.null(), pa.string())
    }
    return [each.name for each in known if each.type == pa.string() and each.name.lower() in typed]


def _check(known: pa.Schema | None, survey: Survey, *, is_rescued: bool) -> None:
    """Raise SchemaMismatch for a column with a type of its own that is no kin of the dataset's."""
    kinds = {each.name.lower(): each for each in known or ()}
    for name, kind in survey.columns.items():
        there = kinds.get(name.lower())
        if there is not None and not isinstance(kind, Votes) and not is_rescued:
            wider(there.type, type_of(kind), there.name)


def _joined(known: pa.Schema, found: Columns) -> pa.Schema:
    there = {each.name.lower(): each.name for each in known}
    kinds = {each.name: each.type for each in known}
    for name, kind in found.kinds.items():
        spelled = there.get(name.lower(), name)
        try:
            kinds[spelled] = _grown(kinds[spelled], kind, spelled) if spelled in kinds else type_of(kind)
        except SchemaMismatch:
            continue  # no type holds both: what is none of the dataset's is refused or rescued row by row
    return pa.schema([(name, without_void(kind)) for name, kind in kinds.items()])


def _grown(known: pa.DataType, found: Kind, name: str) -> pa.DataType:
    """The type of a column of the dataset after values of a file."""
    if not isinstance(found, Votes):
        return wider(known, type_of(found), name)
    if not found.kinds or known == pa.string():
        return known
    kin = next((family for family in _FAMILIES if _kind_of(known) in family), frozenset[str]())
    alike = Votes(type(found.kinds)({k: n for k, n in found.kinds.items() if k in kin}))
    alike.whole, alike.scale, alike.digits = found.whole, found.scale, found.digits
    if alike.kinds.total() * 2 <= found.kinds.total():
        return as_text(known, pa.string(), name)
    return wider(known, type_of(alike), name)


def _kind_of(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return "integer"
    if pa.types.is_floating(kind):
        return "double"
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.tz else "timestamp_ntz"
    return {pa.date32(): "date", pa.bool_(): "boolean"}.get(kind, "text")


def _drift(known: pa.Schema, found: Columns, settled: pa.Schema, first: Mapping[str, str]) -> list[dict[str, str]]:
    rows = []
    seen = {name.lower() for name in found.kinds}
    for each in settled:
        file = first.get(each.name.lower(), "")
        if each.name not in known.names:
            rows.append(_row(each.name, "new", "", ddl(each.type), file))
        elif each.name.lower() not in seen:
            rows.append(_row(each.name, "missing", ddl(each.type), "", ""))
        elif known.field(each.name).type != each.type:
            rows.append(_row(each.name, "changed", ddl(known.field(each.name).type), ddl(each.type), file))
    return rows


def _row(column: str, change: str, before: str, after: str, file: str) -> dict[str, str]:
    return {"column": column, "change": change, "before": before, "after": after, "file": file}


def _refusal(target: str, drift: Sequence[Mapping[str, str]]) -> DataError:
    shown = "; ".join(
        f"{row['change']} {row['column']} {' → '.join(t for t in (row['before'], row['after']) if t)}"
        + (f" (first in {row['file']})" if row["file"] else "")
        for row in drift
    )
    gone = [row["column"] for row in drift if row["change"] == "missing"]
    new = [row["column"] for row in drift if row["change"] == "new"]
    hint = f" Perhaps {gone[0]} was renamed to {new[0]}." if len(gone) == len(new) == 1 else ""
    return DataError(
        f"{target}: the files differ from the dataset in {len(drift)} columns, and nothing was loaded "
        f"(on_drift='refuse'): {shown}.{hint} Load once with on_drift='evolve' to accept them, with "
        f"on_drift='rescue' to keep what is new as JSON in _rescued, or have the delivery mended."
    )
