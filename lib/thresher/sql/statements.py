"""Statements that change a dataset, taken apart: INSERT, UPDATE, DELETE and MERGE in Spark's SQL.

Only their frame is read here; the conditions, values and queries in it stay text, which `thresher.statements` puts into
queries that both engines run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.errors import TokenError
from sqlglot.tokens import Token, TokenType

from thresher.errors import SqlError
from thresher.sql.aggregating.aggregates import has_aggregate, has_window
from thresher.sql.dialect import Source, read

_TEXTS = (TokenType.STRING, TokenType.RAW_STRING, TokenType.HEX_STRING)


@dataclass(frozen=True)
class Insert:
    """INSERT INTO | OVERWRITE [TABLE] target [(columns)] query."""

    target: str
    query: str
    columns: tuple[str, ...] = ()
    is_overwrite: bool = False


@dataclass(frozen=True)
class Delete:
    """DELETE FROM target [AS alias] [WHERE condition]."""

    target: str
    alias: str
    condition: str = "true"


@dataclass(frozen=True)
class Update:
    """UPDATE target [AS alias] SET column = value, … [WHERE condition]."""

    target: str
    alias: str
    values: tuple[tuple[str, str], ...]
    condition: str = "true"


@dataclass(frozen=True)
class Clause:
    """One WHEN of a MERGE: which rows, under which condition, and what becomes of them.

    `matched` is "matched", "by target" (rows of the source without a target) or "by source" (the other way round).
    `values` are columns and expressions; empty for DELETE, None for `*`: all columns by name.
    """

    matched: str
    action: str
    condition: str = "true"
    values: tuple[tuple[str, str], ...] | None = ()


@dataclass(frozen=True)
class Merge:
    """MERGE INTO target [AS alias] USING source [AS alias] ON condition WHEN …"""

    target: str
    alias: str
    source: str  # a table, or a query in parentheses
    source_alias: str
    condition: str
    clauses: tuple[Clause, ...]


Statement = Insert | Delete | Update | Merge


def parse_statement(text: str, origin: str | None = None) -> Statement:
    """Read one statement that changes a dataset. Raises SqlError with the place of what is wrong.

    >>> parse_statement("update mart.t set a = a + 1, b = 'x' where a > 2")
    Update(target='mart.t', alias='t', values=(('a', 'a + 1'), ('b', "'x'")), condition='a > 2')
    """
    return _Reader(text, origin).statement()


class _Reader:
    """Goes through the tokens of a statement; what stands in parentheses, or in CASE … END, is passed over."""

    def __init__(self, text: str, origin: str | None) -> None:
        self.source = Source(text, origin)
        self.text = text
        try:
            tokens = Spark().tokenize(text)
        except TokenError as error:
            raise SqlError(f"{self.source.place(0)}: {error}") from None
        while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
            tokens.pop()
        self.tokens: list[Token] = tokens
        self.at = 0

    def statement(self) -> Statement:
        readers: dict[str, Callable[[], Statement]] = {
            "INSERT": self._insert,
            "DELETE": self._delete,
            "UPDATE": self._update,
            "MERGE": self._merge,
        }
        reader = readers.get(self._word())
        if reader is None:
            self._wrong("INSERT, UPDATE, DELETE or MERGE")
        self.at += 1
        made = reader()
        if self.at < len(self.tokens):
            self._wrong("the end of the statement")
        return made

    def _insert(self) -> Insert:
        is_overwrite = self._take("INTO", "OVERWRITE") == "OVERWRITE"
        if self._word() == "TABLE":
            self.at += 1
        target = self._name()
        columns: tuple[str, ...] = ()
        if self._word() == "(" and self._word(1) not in ("SELECT", "WITH", "VALUES", "("):
            self.at += 1
            columns = tuple(self._list(self._identifier))
        if self._word() in ("PARTITION", "REPLACE", "BY"):
            self._wrong("a query; write the partition's value as a column of it")
        return Insert(target, self._until(), columns, is_overwrite)

    def _delete(self) -> Delete:
        self._take("FROM")
        target, alias = self._aliased("WHERE")
        return Delete(target, alias, self._optional("WHERE"))

    def _update(self) -> Update:
        target, alias = self._aliased("SET")
        self._take("SET")
        values = self._assignments(alias, "WHERE")
        return Update(target, alias, values, self._optional("WHERE"))

    def _merge(self) -> Merge:
        self._take("INTO")
        target, alias = self._aliased("USING")
        self._take("USING")
        if self._word() == "(":
            source = self._parenthesised()
        else:
            source = self._name()
        default = source.rpartition(".")[2].strip("`") if not source.startswith("(") else "source"
        source_alias = self._alias("ON") or default
        self._take("ON")
        condition = self._expression("WHEN")
        clauses = []
        while self._word() == "WHEN":
            clauses.append(self._clause(alias))
        if not clauses:
            self._wrong("WHEN")
        return Merge(target, alias, source, source_alias, condition, tuple(clauses))

    def _clause(self, alias: str) -> Clause:
        self._take("WHEN")
        is_not = self._word() == "NOT"
        self.at += is_not
        self._take("MATCHED")
        matched = "by target" if is_not else "matched"
        if is_not and self._word() == "BY":
            self.at += 1
            matched = f"by {self._take('SOURCE', 'TARGET').lower()}"
        condition = "true"
        if self._word() == "AND":
            self.at += 1
            condition = self._expression("THEN")
        self._take("THEN")
        action = self._take(*(("INSERT",) if matched == "by target" else ("UPDATE", "DELETE")))
        if action == "UPDATE":
            self._take("SET")
        values: tuple[tuple[str, str], ...] | None = ()
        if action != "DELETE" and self._word() == "*":
            self.at += 1
            values = None
        elif action == "UPDATE":
            values = self._assignments(alias, "WHEN")
        elif action == "INSERT":
            values = self._insertion()
        return Clause(matched, action.lower(), condition, values)

    def _insertion(self) -> tuple[tuple[str, str], ...]:
        self._take("(")
        columns = self._list(self._identifier)
        self._take("VALUES")
        self._take("(")
        values = self._list(lambda: self._expression(",", ")"))
        if len(columns) != len(values):
            self._wrong(f"{len(columns)} values for {len(columns)} columns (found {len(values)})")
        return tuple(zip(columns, values, strict=True))

    def _assignments(self, alias: str, end: str) -> tuple[tuple[str, str], ...]:
        found = []
        while True:
            names = [self._identifier()]
            while self._word() == ".":
                self.at += 1
                names.append(self._identifier())
            if len(names) > 2 or (len(names) == 2 and names[0].lower() != alias.lower()):
                self._wrong(f"a column of {alias}; fields of a struct cannot be set one by one")
            self._take("=")
            found.append((names[-1], self._expression(",", end)))
            if self._word() != ",":
                return tuple(found)
            self.at += 1

    def _aliased(self, end: str) -> tuple[str, str]:
        target = self._name()
        return target, self._alias(end) or target.rpartition(".")[2]

    def _alias(self, end: str) -> str:
        if self._word() == "AS":
            self.at += 1
            return self._identifier()
        return self._identifier() if self.at < len(self.tokens) and self._word() != end else ""

    def _optional(self, word: str) -> str:
        if self._word() != word:
            return "true"
        self.at += 1
        return self._expression()

    # tokens

    def _word(self, ahead: int = 0) -> str:
        """The token's word in capitals; of a text or a quoted name, which is no keyword, just its quote."""
        at = self.at + ahead
        if at >= len(self.tokens):
            return ""
        token, first = self.tokens[at], self.text[self.tokens[at].start]
        is_quoted = token.token_type in _TEXTS or first in "`'\""
        return first if is_quoted else token.text.upper()

    def _take(self, *words: str) -> str:
        found = self._word()
        if found not in words:
            self._wrong(" or ".join(words))
        self.at += 1
        return found

    def _identifier(self) -> str:
        if self.at >= len(self.tokens) or not (self._text(self.at).startswith("`") or self._word()[:1].isidentifier()):
            self._wrong("a name")
        self.at += 1
        return self.tokens[self.at - 1].text

    def _name(self) -> str:
        parts = [self._identifier()]
        while self._word() == ".":
            self.at += 1
            parts.append(self._identifier())
        return ".".join(parts)

    def _list(self, read: Callable[[], str]) -> list[str]:
        """What stands in parentheses, separated by commas; the first parenthesis is read already."""
        found = [read()]
        while self._take(",", ")") == ",":
            found.append(read())
        return found

    def _parenthesised(self) -> str:
        start, depth = self.at, 0
        while self.at < len(self.tokens):
            depth += {"(": 1, ")": -1}.get(self._word(), 0)
            self.at += 1
            if depth == 0:
                return self.text[self.tokens[start].start : self.tokens[self.at - 1].end + 1]
        self._wrong(")")

    def _expression(self, *words: str) -> str:
        """The text up to one of the words, or to the end: one expression, so that it stays one in a query.

        An aggregate or a window function would look at many rows, where a statement speaks of one.
        """
        at = self.at
        text = self._until(*words)
        place = self.source.place(self.tokens[at].start)
        try:
            found = read(Source(f"select {text}\n as x"))
        except SqlError:
            raise SqlError(f"{place}: found {text!r}, expected one expression.") from None
        given = {name for name, value in found.args.items() if value}
        if not isinstance(found, exp.Select) or given != {"expressions"} or len(found.expressions) != 1:
            raise SqlError(f"{place}: found {text!r}, expected one expression.")
        if has_aggregate(found.expressions[0]) or has_window(found.expressions[0]):
            raise SqlError(f"{place}: {text!r} looks at many rows. Compute it in the source, or in a subquery.")
        return text

    def _until(self, *words: str) -> str:
        """The text up to one of the words, or to the end."""
        start, depth = self.at, 0
        while self.at < len(self.tokens):
            word = self._word()
            if depth == 0 and word in words:
                break
            depth += {"(": 1, "[": 1, "CASE": 1, ")": -1, "]": -1, "END": -1}.get(word, 0)
            self.at += 1
        if self.at == start:
            self._wrong("an expression")
        return self.text[self.tokens[start].start : self.tokens[self.at - 1].end + 1]

    def _text(self, at: int) -> str:
        return self.text[self.tokens[at].start : self.tokens[at].end + 1]

    def _wrong(self, expected: str) -> NoReturn:
        there = self.at < len(self.tokens)
        place = self.source.place(self.tokens[self.at].start if there else len(self.text))
        found = repr(self._text(self.at)) if there else "the end"
        raise SqlError(f"{place}: found {found}, expected {expected}.")
