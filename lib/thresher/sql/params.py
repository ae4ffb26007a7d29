"""Values into a query: each `:name` becomes a literal in Spark's dialect, so both engines read the same text."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlglot.dialects.spark import Spark
from sqlglot.errors import TokenError
from sqlglot.tokens import Token, TokenType

from thresher.errors import ParameterError, SqlError


def bind(text: str, params: Mapping[str, Any]) -> str:
    """The query with every `:name` replaced by the literal of its value; nothing else is touched.

    Raises ParameterError for a name without a value and for a value without a name.

    >>> bind("select * from t where name = :name and year > :year", {"name": "O'Hara", "year": 2000})
    "select * from t where name = 'O\\\\'Hara' and year > 2000"
    """
    try:
        tokens = Spark().tokenize(text)
    except TokenError as error:
        raise SqlError(f"{error}. Expected one statement in Spark SQL; is a quote not closed?") from None
    places = [
        (colon, name) for colon, name in zip(tokens, tokens[1:], strict=False) if _is_parameter(colon, name, text)
    ]
    named = {name.text for _, name in places}
    if named - params.keys():
        raise ParameterError(f"the query names :{', :'.join(sorted(named - params.keys()))}, which got no value")
    if params.keys() - named:
        raise ParameterError(
            f"parameters {sorted(params.keys() - named)} are not in the query, which names {sorted(named)}"
        )
    for colon, name in reversed(places):
        text = text[: colon.start] + literal(params[name.text]) + text[name.end + 1 :]
    return text


def _is_parameter(colon: Token, name: Token, text: str) -> bool:
    alone = colon.start == 0 or not (text[colon.start - 1].isalnum() or text[colon.start - 1] in "_`)]:")
    return colon.token_type == TokenType.COLON and name.start == colon.end + 1 and name.text.isidentifier() and alone


def literal(value: Any) -> str:
    """A value as a literal of Spark's dialect; raises ParameterError for a type that has none.

    >>> literal("a\\\\b"), literal(None), literal(date(2024, 1, 31)), literal(Decimal("-1.50"))
    ("'a\\\\\\\\b'", 'NULL', "DATE'2024-01-31'", '(-1.50)')
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int() if -(2**63) <= value < 2**63:
            return str(value) if value >= 0 else f"({value})"
        case Decimal() if value.is_finite():
            return format(value, "f") if value >= 0 else f"({value:f})"
        case float() if math.isfinite(value):
            return f"{value!r}D" if value >= 0 else f"({value!r}D)"
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case bytes():
            return f"X'{value.hex()}'"
        case datetime() if value.tzinfo:
            return f"TIMESTAMP'{value.astimezone(UTC).replace(tzinfo=None).isoformat(' ')}'"
        case datetime():
            return f"TIMESTAMP_NTZ'{value.isoformat(' ')}'"
        case date():
            return f"DATE'{value.isoformat()}'"
    raise ParameterError(
        f"a parameter of type {type(value).__name__} ({value!r}) cannot stand in a query; "
        f"expected text, a whole number of 64 bits, Decimal, finite float, bool, bytes, date, datetime or None"
    )
