"""Documents that differ from the known structure: it grows, they are kept aside, or the load is refused."""

import heapq
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

import pyarrow as pa

from thresher import xml
from thresher.errors import DataError, UsageError
from thresher.frame import Frame
from thresher.xml.schema import CHANGES
from thresher.xml.structure import Node, fold

POLICIES = ("evolve", "rescue", "refuse")
SHOWN_PATHS = 10
SHOWN_ROWS = 3
SEARCHED_ROWS = 1_000


@dataclass(frozen=True)
class Settled:
    """What a load is read by: the schema, and the drift of its documents from what was known.

    `drift`: one row per path: change (new, vanished, changed), path, before, after (types); empty on a first load.
    """

    schema: xml.Schema
    drift: pa.Table


def settle(known: xml.Schema | None, found: xml.Schema, declare: str, options: xml.Options, policy: str) -> Settled:
    """Join what was known with what was found and declared, as the policy says.

    | policy | schema |
    |---|---|
    | evolve | has all paths of both; a type holds the values of both; a known name keeps its spelling |
    | rescue, refuse | is the known one |

    `declare` (Spark DDL) and the arrays of the options are no drift, and count with every policy. A path that was
    known and is not found has vanished; the schema keeps it. Raises UsageError for another policy, and for `rescue`
    where the options' dialect drops what the schema does not know.
    """
    check(policy, options)
    if known is None:
        schema = found.declare(declare) if declare else found
        return Settled(schema, CHANGES.empty_table())
    known = replace(known, options=options.merged(known.options))
    known = known.declare(declare) if declare else known
    grown = known.merge(replace(found, seen=_spelled_as(known.seen, found.seen)))
    drift = pa.concat_tables([known.diff(grown), _vanished(known, grown)])
    return Settled(grown if policy == "evolve" else known, drift)


def check(policy: str, options: xml.Options) -> None:
    """Raise UsageError for a policy that is unknown, or that the options' dialect cannot keep."""
    if policy not in POLICIES:
        raise UsageError(f"drift={policy!r}; expected one of {', '.join(POLICIES)}")
    if policy == "rescue" and options.is_spark:
        raise UsageError(
            "drift='rescue' with the options of Spark, which drop what the schema does not know; "
            "choose drift='evolve' or 'refuse', or other options"
        )


def refused_by(drift: pa.Table) -> list[dict[str, str]]:
    """What the policy `refuse` does not let through: what is new or changed. What has vanished is fine."""
    return [row for row in drift.to_pylist() if row["change"] != "vanished"]


def refusal(target: str, changes: Sequence[Mapping[str, str]], rescued: Frame) -> DataError:
    """The error that lists changes, with the keys of the first rows that have them.

    `rescued` has `_key` and `_rescued` of the documents as the known schema reads them.
    """
    rows = (row for batch in rescued.batches() for row in batch.to_pylist())
    first = heapq.nsmallest(SEARCHED_ROWS, rows, key=itemgetter("_key"))
    places = {row["_key"]: list(json.loads(row["_rescued"])) for row in first}
    shown = [_line(change, places) for change in changes[:SHOWN_PATHS]]
    more = f"; and {len(changes) - SHOWN_PATHS} more" if len(changes) > SHOWN_PATHS else ""
    return DataError(
        f"{target}: the documents differ from the known structure in {len(changes)} paths, and nothing was written "
        f"(drift='refuse'): {'; '.join(shown)}{more}. Load once with drift='evolve' to accept them, with "
        f"drift='rescue' to keep them as JSON in _rescued, or have the delivery mended."
    )


def _line(change: Mapping[str, str], rescued: Mapping[str, list[str]]) -> str:
    types = " → ".join(change[when] for when in ("before", "after") if change[when])
    keys = [key for key, places in rescued.items() if any(_touches(place, change["path"]) for place in places)]
    rows = f" (first in {', '.join(keys[:SHOWN_ROWS])})" if keys else ""
    return f"{change['change']} {change['path']} {types}{rows}"


def _touches(place: str, path: str) -> bool:
    """Whether a place in a document (`book[2].isbn`) is at, above or below a path of the schema."""
    one, other = fold(re.sub(r"\[\d+\]", "", place)) + ".", fold(path) + "."
    return one.startswith(other) or other.startswith(one)


def _vanished(known: xml.Schema, grown: xml.Schema) -> pa.Table:
    """The paths that were seen earlier, and of which this load has added none."""
    now = {row["path"]: row["occurrences"] for row in grown.paths.select(["path", "occurrences"]).to_pylist()}
    rows = known.paths.select(["path", "type", "occurrences"]).to_pylist()
    gone = [row for row in rows if row["occurrences"] and now.get(row["path"]) == row["occurrences"]]
    changes = [{"change": "vanished", "path": row["path"], "before": row["type"]} for row in gone]
    return pa.Table.from_pylist(changes, schema=CHANGES)


def _spelled_as(known: Node, found: Node) -> Node:
    """What was found, under the names that are known: no field is renamed because another spelling is more frequent."""
    children = {
        key: _named(_spelled_as(known.children[key], node), known.children[key].name) if key in known.children else node
        for key, node in found.children.items()
    }
    return replace(found, children=children)


def _named(node: Node, name: str) -> Node:
    return replace(node, names=Counter({name: node.names.total()}))
