"""From which columns of its inputs each column of a query comes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.lineage import Node, lineage

Schemas = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Origin:
    """A column of an input; `is_identity` where the result has its very value; `path` within a document in it."""

    dataset: str
    column: str
    is_identity: bool
    path: str = ""


def origins(query: str, schemas: Schemas) -> dict[str, list[Origin]]:
    """The columns of a query's result, each with the columns that its values are made of.

    `schemas` are those of the datasets that it reads: name → column → type. Raises what sqlglot raises.

    >>> schemas = {"raw.a": {"id": "bigint", "price": "double", "rate": "double"}}
    >>> origins("select id, price * rate as eur from raw.a", schemas)["id"]
    [Origin(dataset='raw.a', column='id', is_identity=True, path='')]
    """
    nested: dict[str, object] = {}
    for name, columns in schemas.items():
        zone, _, table = name.partition(".")
        nested.setdefault(zone, {})[table] = dict(columns)  # type: ignore[index]
    found: dict[str, list[Origin]] = {}
    for column, node in lineage(None, query, nested, dialect="spark").items():
        nodes = list(node.walk())
        is_identity = all(_is_plain(each.expression) for each in nodes)
        found[column] = sorted(set(_leaves(nodes, is_identity)), key=lambda each: (each.dataset, each.column))
    return found


def _leaves(nodes: Sequence[Node], is_identity: bool) -> Iterator[Origin]:
    for node in nodes:
        table = node.expression
        if isinstance(table, exp.Table) and table.db:
            yield Origin(f"{table.db}.{table.name}", node.name.rpartition(".")[2].strip('`"'), is_identity)


def _is_plain(expression: exp.Expr) -> bool:
    """Whether a node only hands a column on."""
    return isinstance(expression, exp.Table | exp.Column) or isinstance(expression.args.get("this"), exp.Column)
