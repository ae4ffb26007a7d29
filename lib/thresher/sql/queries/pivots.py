"""PIVOT and UNPIVOT."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.expressions import Column, Scope, Typed
from thresher.sql.queries.grouping import groupable
from thresher.sql.queries.naming import Words, column_name
from thresher.sql.queries.relations import Relation, Relations


class Pivots(Relations):
    """Translates what stands behind a table in FROM: PIVOT (…) and UNPIVOT (…)."""

    def pivoted(self, relation: Relation, pivot: exp.Pivot) -> Relation:
        """A relation behind PIVOT or UNPIVOT."""
        table = pivot.alias.lower() or None
        made = self._unpivot(relation, pivot) if pivot.args.get("unpivot") else self._pivot(relation, pivot)
        if table is None:
            return made
        return replace(made, columns=[replace(column, table=table) for column in made.columns])

    def _pivot(self, relation: Relation, pivot: exp.Pivot) -> Relation:
        """As Spark does it: aggregate for each group and pivot value, then lay the values side by side.

        A group without rows for a value gets NULL there, also for count.
        """
        self.e.scope = Scope(relation.columns)
        (field,) = pivot.args["fields"]
        subjects = self.e.exprs(_parts(field.this))
        aggregates = [(self.e.expr(item.unalias()), item) for item in pivot.expressions]
        mentioned = {
            column.name.lower() for item in [field.this, *pivot.expressions] for column in item.find_all(exp.Column)
        }
        kept = [c for c in relation.columns if not c.is_hidden and c.name.lower() not in mentioned]
        for column in kept:
            groupable(self.e, pivot, column.value, "PIVOT")
        inner, outer = self.alias(), self.alias()
        keys = [column.value.sql for column in kept] + [subject.sql for subject in subjects]
        heads = [*keys, *(value.sql for value, _ in aggregates)]
        first = ", ".join(f"{sql} AS c{n}" for n, sql in enumerate(heads, 1))
        group = f" GROUP BY {', '.join(keys)}"
        columns = [replace(c, value=replace(c.value, sql=f"{outer}.c{n}")) for n, c in enumerate(kept, 1)]
        parts = [f"{inner}.c{n} AS c{n}" for n in range(1, len(kept) + 1)]
        for item in field.expressions:
            is_value = self._is_value(
                item.unalias() if isinstance(item, exp.PivotAlias) else item, subjects, inner, len(kept)
            )
            for n, (value, written) in enumerate(aggregates, len(keys) + 1):
                name = self._pivot_name(item, written, len(aggregates))
                columns.append(Column(name, None, Typed(f"{outer}.c{len(parts) + 1}", value.kind)))
                parts.append(f"any_value({inner}.c{n}) FILTER (WHERE {is_value}) AS c{len(parts) + 1}")
        by = f" GROUP BY {', '.join(f'{inner}.c{n}' for n in range(1, len(kept) + 1))}" if kept else ""
        sql = f"(SELECT {', '.join(parts)} FROM (SELECT {first} FROM {relation.sql}{group}) AS {inner}{by}) AS {outer}"
        return Relation(sql, columns)

    def _is_value(self, item: exp.Expr, subjects: list[Typed], inner: str, kept: int) -> str:
        values = self.e.exprs(_parts(item))
        if len(values) != len(subjects):
            self.e.wrong(item, f"PIVOT over {len(subjects)} columns with {len(values)} values.")
        tests = []
        for n, (subject, value) in enumerate(zip(subjects, values, strict=True), kept + 1):
            value = self.e.coerce(item, value, subject.kind, "a value of PIVOT")
            tests.append(f"{inner}.c{n} IS NOT DISTINCT FROM {value.sql}")
        return " AND ".join(tests)

    def _pivot_name(self, item: exp.Expr, written: exp.Expr, aggregates: int) -> str:
        if isinstance(item, exp.PivotAlias):
            value = item.alias
        else:
            texts = [_text(part) for part in _parts(item)]
            if None in texts:
                self.e.refuse(item, "a value of PIVOT without a name", "name it with AS")
            value = str(texts[0]) if len(texts) == 1 else f"{{{', '.join(map(str, texts))}}}"
        if aggregates == 1:
            return value
        name = written.alias if isinstance(written, exp.Alias) else column_name(written, Words(self.source.text))
        if name is None:
            self.e.refuse(written, "an aggregate of PIVOT without a name", "name it with AS")
        return f"{value}_{name}"

    def _unpivot(self, relation: Relation, pivot: exp.Pivot) -> Relation:
        self.e.scope = Scope(relation.columns)
        (field,) = pivot.args["fields"]
        names = [name.name for name in _parts(pivot.expressions[0])]
        groups = [(item.this if isinstance(item, exp.PivotAlias) else item, item) for item in field.expressions]
        used = {column.name.lower() for group, _ in groups for column in group.find_all(exp.Column)}
        kept = [c for c in relation.columns if not c.is_hidden and c.name.lower() not in used]
        rows = [self.e.exprs(_parts(group)) for group, _ in groups]
        if any(len(row) != len(names) for row in rows):
            self.e.wrong(pivot, f"UNPIVOT into {len(names)} columns of groups with another number of columns.")
        for _, item in groups:
            if isinstance(item.args.get("alias"), exp.Literal):
                self.e.wrong(item, "a text behind AS; write the name plainly or in backticks.")
        clash = {column.name.lower() for column in kept} & {name.lower() for name in [*names, field.this.name]}
        if clash:
            self.e.wrong(pivot, f"UNPIVOT into {', '.join(sorted(clash))}, which the table has already.")
        labels = [
            item.alias if isinstance(item, exp.PivotAlias) else "_".join(part.name for part in _parts(group))
            for group, item in groups
        ]
        alias = self.alias()
        made = [Column(field.this.name, None, Typed(f"{alias}.c1", kinds.STRING))]
        arrays = [", ".join(kinds.text_literal(label) for label in labels)]
        for n, name in enumerate(names, 2):
            values, kind = self.e.common(pivot, [row[n - 2] for row in rows], "UNPIVOT", with_text=False)
            made.append(Column(name, None, Typed(f"{alias}.c{n}", kind)))
            arrays.append(", ".join(value.sql for value in values))
        select = ", ".join(f"unnest([{array}]) AS c{n}" for n, array in enumerate(arrays, 1))
        sql = f"{relation.sql} CROSS JOIN LATERAL (SELECT {select}) AS {alias}"
        if not pivot.args.get("include_nulls"):
            some = " OR ".join(f"{column.value.sql} IS NOT NULL" for column in made[1:])
            every, outer = [*kept, *made], self.alias()
            heads = ", ".join(f"{column.value.sql} AS c{n}" for n, column in enumerate(every, 1))
            columns = [replace(c, value=replace(c.value, sql=f"{outer}.c{n}")) for n, c in enumerate(every, 1)]
            return Relation(f"(SELECT {heads} FROM {sql} WHERE {some}) AS {outer}", columns)
        return Relation(sql, kept + made)


def _text(node: exp.Expr) -> str | None:
    """The text of a literal, which is the name of its column."""
    match node:
        case exp.Literal():
            return str(node.this)
        case exp.Boolean():
            return "true" if node.this else "false"
        case exp.Null():
            return "null"
        case exp.Neg(this=exp.Literal(is_string=False)):
            return f"-{node.this.this}"
        case exp.Cast(this=exp.Literal(is_string=True)) if node.to.is_type("date"):
            return str(node.this.this)
    return None


def _parts(node: exp.Expr) -> list[exp.Expr]:
    node = node.unnest() if isinstance(node, exp.Paren) else node
    return list(node.expressions) if isinstance(node, exp.Tuple) else [node]
