"""Spark's SQL as text in, a syntax tree out: reading only, no judgement of what is portable.

sqlglot's parser is told to leave function calls as they are written (no builder renames `nvl` to `coalesce` or turns
`date_add` into something else), so that the allow-list speaks of Spark's own names.
"""

import itertools
import re
from collections.abc import Callable
from typing import Any, NoReturn

from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.spark import SparkParser
from sqlglot.tokens import Token, TokenType

from thresher.errors import NotPortable, SqlError

# Calls with a syntax of their own; every other call is kept as name and arguments.
_SPECIAL_CALLS = ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "SUBSTRING", "SUBSTR", "POSITION", "OVERLAY", "DECODE")

# The operators between + and the comparisons, those that bind most weakly first: their tokens and signs.
_BITS = (
    {(TokenType.PIPE,): "|"},
    {(TokenType.CARET,): "^"},
    {(TokenType.AMP,): "&"},
    {
        (TokenType.LT,) * 2: "<<",
        (TokenType.GT,) * 3: ">>>",
        (TokenType.GT,) * 2: ">>",
    },
)


_BEHIND_LISTS = {
    *(TokenType.COMMA, TokenType.R_PAREN, TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING),
    *(TokenType.QUALIFY, TokenType.ORDER_BY, TokenType.SORT_BY, TokenType.LIMIT, TokenType.UNION, TokenType.EXCEPT),
    *(TokenType.INTERSECT, TokenType.ROWS, TokenType.RANGE),
}

# What stands behind one operand, or between two, and gives a boolean.
_CONDITIONS = (exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.RegexpLike, exp.Escape)

# The first words of Spark's types; sqlglot knows those of all databases.
_TYPES = (
    "BOOLEAN TINYINT BYTE SMALLINT SHORT INT INTEGER BIGINT LONG FLOAT REAL DOUBLE DECIMAL DEC NUMERIC STRING CHAR "
    "CHARACTER VARCHAR BINARY DATE TIME TIMESTAMP TIMESTAMP_LTZ TIMESTAMP_NTZ INTERVAL ARRAY MAP STRUCT VOID VARIANT"
).split()


class PlainSpark(Spark):
    """Spark's dialect with plain function calls, strict casts and doubled quotes in strings."""

    class Tokenizer(Spark.Tokenizer):
        # Spark 4 reads 'it''s' as it's; sqlglot would read two strings.
        STRING_ESCAPES = ["\\", "'", '"']
        # No words of Spark's: a tilde before a tilde, a minus or a star is an operator of its own.
        KEYWORDS = {
            word: token
            for word, token in Spark.Tokenizer.KEYWORDS.items()
            if word
            not in (
                "ISNULL",
                "NOTNULL",
                "~~~",
                "~~",
                "~~*",
                "~*",
                "-|-",
                "<->",
                "<<->>",
                "&<",
                "&>",
                "&&",
                "#>",
                "#>>",
                "??",
            )
        }

    class Parser(SparkParser):
        STRICT_CAST = True
        ARRAY_CONSTRUCTORS = {}  # array(1, 2)[0] is no array of 0
        FUNCTIONS = {}
        FUNCTION_PARSERS = {
            name: parser for name, parser in SparkParser.FUNCTION_PARSERS.items() if name in _SPECIAL_CALLS
        }
        NO_PAREN_FUNCTION_PARSERS = {
            name: parser for name, parser in SparkParser.NO_PAREN_FUNCTION_PARSERS.items() if name in ("CASE", "IF")
        }
        # Behind GROUP BY, window is a function; the clause WINDOW stands behind the keys.
        QUERY_MODIFIER_TOKENS = SparkParser.QUERY_MODIFIER_TOKENS - {TokenType.WINDOW}
        # sqlglot drops the + before a number, and lets || and the operators on bits bind differently.
        UNARY_PARSERS = {
            **SparkParser.UNARY_PARSERS,
            TokenType.PLUS: lambda self: exp.Anonymous(this="positive", expressions=[self._parse_unary()]),
        }
        TERM = {**SparkParser.TERM, TokenType.DPIPE: exp.DPipe}
        # All comparisons bind alike: true = 1 < 2 is (true = 1) < 2.
        EQUALITY = {**SparkParser.EQUALITY, **SparkParser.COMPARISON}
        COMPARISON = {}

        def _parse_csv(self, parse_method: Callable[[], Any], sep: TokenType = TokenType.COMMA) -> list[Any]:
            """A list; sqlglot would overlook a comma with nothing before or behind it: a, or (,a) or PARTITION BY a,

            An item that is missing for another reason is none of that: array(null, 1) is first tried as a type.
            """

            def item() -> Any:
                before = self._prev
                found = parse_method()
                is_over = not self._curr or self._curr.token_type in _BEHIND_LISTS
                if found is None and is_over and before and before.token_type == sep and self._prev is before:
                    self.raise_error("a comma with nothing behind it", before)
                return found

            if self._curr and self._curr.token_type == sep:
                self.raise_error("a comma with nothing before it", self._curr)
            return super()._parse_csv(item, sep)

        def _parse_value(self, values: bool = True) -> exp.Tuple | None:
            """A row of VALUES; sqlglot would take the t of `VALUES 1, 2 AS t(a)` for the name of the last value."""
            if self._match(TokenType.L_PAREN, advance=False):
                return super()._parse_value(values)
            value = self._parse_disjunction()
            return self.expression(exp.Tuple(expressions=[value])) if value else None

        def _parse_alias(self, this: exp.Expr | None, explicit: bool = False) -> exp.Expr | None:
            """A name behind AS; sqlglot would take a text or a number for one."""
            found = super()._parse_alias(this, explicit)
            if isinstance(found, exp.Alias) and self._prev.token_type in (TokenType.STRING, TokenType.NUMBER):
                self.raise_error("a name is no text; write it plainly or in backticks", self._prev)
            return found

        def _negate_range(self, this: exp.Expr | None = None) -> exp.Expr | None:
            if isinstance(this, exp.Is):
                self.raise_error("NOT NULL without IS; write IS NOT NULL", self._prev)
            return super()._negate_range(this)

        def _parse_star_op(self, *keywords: str) -> list[exp.Expr] | None:
            """EXCEPT behind a star; EXCLUDE, REPLACE and RENAME are other databases'."""
            return super()._parse_star_op("EXCEPT") if "EXCEPT" in keywords else None

        def _parse_join(self, *args: Any, **options: Any) -> exp.Join | None:
            comma = self._curr if self._match(TokenType.COMMA, advance=False) else None
            join = super()._parse_join(*args, **options)
            if join is None and comma is not None:
                self.raise_error("no table behind the comma", comma)
            return join

        def _parse_function_args(self, alias: bool = False) -> list[exp.Expr]:
            """Arguments; those of struct may have names without AS, which sqlglot does not know."""
            if self._index < 2 or self._tokens[self._index - 2].text.upper() != "STRUCT":
                return super()._parse_function_args(alias)
            return self._parse_csv(lambda: self._parse_alias(self._parse_lambda(alias=True)))

        def _parse_interval(
            self, require_interval: bool = True, parse_function_unit: bool = True
        ) -> exp.Add | exp.Interval | None:
            """An interval literal; sqlglot would take the 2 of `INTERVAL 1 day + 2` for a part of it."""
            index = self._index
            if require_interval and not self._match(TokenType.INTERVAL):
                return None
            is_text = self._match(TokenType.STRING, advance=False)
            value = self._parse_primary() if is_text else self._parse_unary()
            if isinstance(value, exp.Anonymous) and value.name == "positive":
                value = value.expressions[0]
            if not isinstance(value, exp.Literal | exp.Neg):
                self._retreat(index)
                return None
            first = self._parse_interval_span(value, parse_function_unit=parse_function_unit)
            if self._match_set((TokenType.STRING, TokenType.NUMBER), advance=False):
                return exp.Add(this=first, expression=self._parse_interval(False, parse_function_unit))
            return first

        def _parse_types(
            self,
            check_func: bool = False,
            schema: bool = False,
            allow_identifiers: bool = True,
            with_collation: bool = False,
        ) -> exp.Expr | None:
            first, before = self._curr, self._prev
            is_type = first and before and before.token_type in (TokenType.ALIAS, TokenType.DCOLON, TokenType.LT)
            if is_type and first.text.upper() == "VOID":
                self._advance()
                return exp.DataType(this=exp.DType.NULL)
            this = super()._parse_types(check_func, schema, allow_identifiers, with_collation)
            if is_type and isinstance(this, exp.DataType) and first.start != before.start:  # the same: the L of 1L
                self._check_type(first)
            return this

        def _check_type(self, first: Token) -> None:
            """sqlglot knows the types of all databases, and other ways to write them."""
            word = first.text.upper()
            if self._curr and self._curr.token_type == TokenType.COLON:  # the name of a field
                return
            if word not in _TYPES:
                self.raise_error(f"{first.text} is no type of Spark's", first)
            if word in ("CHAR", "CHARACTER", "VARCHAR") and self._prev.token_type != TokenType.R_PAREN:
                self.raise_error(f"{first.text} has a length: varchar(10)", first)
            if self._prev.token_type == TokenType.R_BRACKET:
                self.raise_error("an array type is written array<int>", first)

        def _parse_range(self, this: exp.Expr | None = None, parse_is: bool = False) -> exp.Expr | None:
            """A condition such as IS NULL behind an operand; Spark has no second one behind it, and no comparison."""
            first = this or self._parse_bitwise()
            found = node = super()._parse_range(first, parse_is)
            count = 0
            while isinstance(node, exp.Expr) and node is not first:
                if isinstance(node, exp.Escape):  # a part of the LIKE in it
                    node = node.this
                count += isinstance(node, (*_CONDITIONS, exp.NullSafeEQ, exp.NullSafeNEQ))
                node = node.this
            if count:
                last = first.this if isinstance(first, exp.Not) else first
                follows = self._curr is not None and self._curr.token_type in self.EQUALITY
                if count > 1 or isinstance(last, _CONDITIONS) or follows:
                    self.raise_error("a condition as an operand without parentheses", self._prev)
            return found

        def _parse_bitwise(self) -> exp.Expr | None:
            return self._bits(0)

        def _bits(self, level: int) -> exp.Expr | None:
            if level == len(_BITS):
                return self._parse_term()
            this = self._bits(level + 1)
            while name := self._match_bits(level):
                other = self._bits(level + 1)
                if this is None or other is None:
                    self.raise_error(f"{name} with nothing on one side of it", self._prev)
                this = exp.Anonymous(this=name, expressions=[this, other])
            return this

        def _match_bits(self, level: int) -> str | None:
            for signs, name in _BITS[level].items():
                found = self._tokens[self._index : self._index + len(signs)]
                is_one_word = all(b.start == a.end + 1 for a, b in itertools.pairwise(found))
                if tuple(token.token_type for token in found) == signs and is_one_word:
                    self._advance(len(signs))
                    return name
            return None


_DIALECT = PlainSpark()


class Source:
    """The text of one query and its origin: turns places in the text into messages.

    >>> Source("select 1\\n  from", "etl.sql").place(11)
    'etl.sql:2:3'
    """

    def __init__(self, text: str, origin: str | None = None) -> None:
        self.text = text
        self.origin = origin

    def place(self, offset: int) -> str:
        """`origin:line:column` of a character of the text, both counted from 1."""
        line = self.text.count("\n", 0, offset) + 1
        column = offset - (self.text.rfind("\n", 0, offset) + 1) + 1
        return f"{self.origin}:{line}:{column}" if self.origin else f"line {line}, column {column}"

    def at(self, node: exp.Expr) -> str:
        """Where a node of the tree stands: its own first character, else that of its first part or its parent."""
        start: exp.Expr | None = node
        while start is not None:
            offsets = [part.meta["start"] for part in start.walk() if part._meta and "start" in part._meta]
            if offsets:
                return self.place(min(offsets))
            start = start.parent
        return self.place(0)

    def refuse(self, node: exp.Expr, what: str, remedy: str = "") -> NoReturn:
        """Raise NotPortable: what was found, where, and how to say it instead."""
        remedy = f"{remedy}, or " if remedy else ""
        raise NotPortable(
            f"{self.at(node)}: {what} is not part of the portable SQL (docs/sql.md): it is not proven to give the same "
            f"rows on the embedded engine as on Spark. Next: {remedy}run the step on Spark (engine: spark)."
        )

    def wrong(self, node: exp.Expr, what: str) -> NoReturn:
        """Raise SqlError: what is wrong on either engine, and where."""
        raise SqlError(f"{self.at(node)}: {what}")


_PATH = re.compile(r"[\w`)\]]:[A-Za-z_`\[]")


def _refuse_paths(source: Source) -> None:
    """Refuse `column:path`, which reads a variant; sqlglot takes the path for an alias."""
    if not _PATH.search(source.text):
        return
    try:
        tokens = _DIALECT.tokenize(source.text)
    except TokenError:
        return  # told by the parser, with the place
    for before, colon, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        is_path = colon.token_type == TokenType.COLON and colon.start == before.end + 1 and after.start == colon.end + 1
        is_field = any(token.token_type == TokenType.STRUCT for token in tokens if token.start < colon.start)
        if is_path and not is_field and (before.token_type in (TokenType.VAR, TokenType.IDENTIFIER, TokenType.R_PAREN)):
            raise NotPortable(
                f"{source.place(before.start)}: the path {before.text}:{after.text} (of a variant) is not part of the "
                f"portable SQL (docs/sql.md). Next: use get_json_object({before.text}, '$.{after.text}')."
            )


def read(source: Source) -> exp.Expr:
    """The tree of exactly one query; raises SqlError for anything else."""
    _refuse_paths(source)
    if (place := source.text.find("${")) >= 0:
        raise NotPortable(
            f"{source.place(place)}: ${{…}}, which Spark replaces by a setting of the session, is not part of the "
            "portable SQL (docs/sql.md). Next: write it as '$' || '{…' in a string, or pass the value as a parameter."
        )
    try:
        statements = [s for s in _DIALECT.parse(source.text) if s is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        where = f"line {first.get('line')}, column {first.get('col')}"
        if source.origin:
            where = f"{source.origin}:{first.get('line')}:{first.get('col')}"
        message = str(first.get("description") or error).rstrip(".")
        raise SqlError(
            f"{where}: {message}, near {first.get('highlight')!r}. Expected one query in Spark SQL."
        ) from None
    except TokenError as error:
        raise SqlError(f"{source.place(0)}: {error}. Expected one query in Spark SQL.") from None
    statements = [s for s in statements if not isinstance(s, exp.Semicolon)]
    if len(statements) != 1:
        raise SqlError(f"{source.place(0)}: found {len(statements)} statements; expected exactly one query.")
    tree: exp.Expr = statements[0]
    while isinstance(tree, exp.Subquery) and not any(v for k, v in tree.args.items() if k != "this"):
        tree = tree.this
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Values | exp.Subquery):
        found = type(tree).__name__.upper()
        raise SqlError(f"{source.place(0)}: found {found}; expected a query (SELECT, WITH, VALUES or a set operation).")
    return tree
