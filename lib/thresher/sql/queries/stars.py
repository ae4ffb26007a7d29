"""A star among the arguments of a function: struct(*), coalesce(t.*)."""

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.expressions import Expressions


def expanded(e: Expressions, node: exp.Anonymous) -> exp.Anonymous:
    """The call with each star replaced by the columns that it stands for."""
    if not any(_star(argument) for argument in node.expressions):
        return node
    arguments: list[exp.Expr] = []
    for argument in node.expressions:
        star = _star(argument)
        arguments += _columns(e, argument, star) if star is not None else [argument.copy()]
    made = exp.Anonymous(this=node.this, expressions=arguments)
    made.meta.update(node.meta)
    made.parent = node.parent
    return made


def _star(node: exp.Expr) -> exp.Star | None:
    if isinstance(node, exp.Star):
        return node
    return node.this if isinstance(node, exp.Column) and isinstance(node.this, exp.Star) else None


def _columns(e: Expressions, node: exp.Expr, star: exp.Star) -> list[exp.Expr]:
    e.only(star, {"except_"})
    before = [part.copy() for part in node.parts[:-1]] if isinstance(node, exp.Column) else []
    names = _names(e, node, [part.name for part in before])
    for name in star.args.get("except_") or []:
        kept = [known for known in names if known[-1].lower() != name.name.lower()]
        if len(kept) != len(names) - 1:
            e.wrong(name, f"EXCEPT ({name.name}) fits {len(names) - len(kept)} columns; expected one.")
        names = kept
    return [exp.column(*(exp.to_identifier(part, quoted=True) for part in reversed(name))) for name in names]


def _names(e: Expressions, node: exp.Expr, before: list[str]) -> list[tuple[str, ...]]:
    """The columns in sight, those of a table, else the fields of a struct."""
    columns = [column for column in e.scope.columns if not column.is_hidden]
    if before:
        of_table = (
            [column for column in e.scope.columns if column.table == before[0].lower()] if len(before) == 1 else []
        )
        if not of_table:
            struct = e.resolve(node, before)
            if not kinds.is_struct(struct.kind):
                e.wrong(node, f"{'.'.join(before)}.* of {kinds.in_spark(struct.kind)}; expected a table or a struct.")
            return [(*before, field.name) for field in struct.kind]
        columns = of_table
    return [(column.table, column.name) if column.table else (column.name,) for column in columns]
