"""What a DuckDB connection needs before it runs translated SQL: settings, and macros with Spark's rules for text."""

from collections.abc import Iterable

import duckdb

from thresher.sql import allowed

SETTINGS: dict[str, str | bool] = {
    "TimeZone": "UTC",
    "default_null_order": "nulls_first_on_asc_last_on_desc",
    # It merges INTERVAL 1 MONTH with INTERVAL 30 DAY, which compare equal (seen in 1.5.6 and 2.0.0).
    "disabled_optimizers": "common_subexpressions",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

# What Spark trims from text before it casts it: ASCII white space and control characters.
_EDGE = r"[\x00-\x20\x7f]*"


def _fail(message: str) -> str:
    return f"error('{message}: ' || coalesce(s, 'NULL'))"


def _parsed(pattern: str, good: str, what: str, doubtful: str = "") -> str:
    """A CASE over text: the pattern's first group where it matches, NULL or an error where Spark has one."""
    unsure = ""
    if doubtful:
        unsure = f"WHEN {doubtful} THEN " + _fail(f"not proven equal to Spark: cast as {what} of this text")
    return (
        f"CASE WHEN s IS NULL THEN NULL WHEN regexp_full_match(s, '{_EDGE}{pattern}{_EDGE}') THEN {good} {unsure} "
        f"WHEN is_try THEN NULL ELSE {_fail(f'text that is no {what}')} END"
    )


_DOUBLE = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
# Java's BigDecimal reads exponents, and the digits of other scripts.
_DOUBTFUL_DECIMAL = (
    f"regexp_full_match(s, '{_EDGE}{_DOUBLE}{_EDGE}') "
    r"OR regexp_matches(regexp_replace(s, '[0-9]', '', 'g'), '\p{Nd}')"
)
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_DAY = r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2})(?:[ T](?s:.*))?)?)?"
_INSTANT = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-](?:0[0-9]|1[0-7]):[0-5][0-9])?)?"
)


def _part(number: int) -> str:
    return f"lpad(coalesce(nullif(regexp_extract(s, '{_EDGE}{_DAY}{_EDGE}', {number}), ''), '01'), 2, '0')"


def _cased(name: str, text: str, refused: str) -> str:
    return (
        f"CASE WHEN regexp_matches(s, '[{refused}]') "
        f"THEN error('not proven equal to Spark: {name} of a character in ' || s) ELSE {name}({text}) END"
    )


# Where Unicode's full mapping (SpecialCasing.txt), which Spark follows, differs from the one-to-one mapping of DuckDB;
# found by comparing all characters. Lower case: capital sigma, whose form depends on the word.
_NO_UPPER = (
    r"\x{149}\x{1F0}\x{390}\x{3B0}\x{587}\x{1E96}-\x{1E9A}\x{1F50}\x{1F52}\x{1F54}\x{1F56}\x{1F80}-\x{1FAF}"
    r"\x{1FB2}-\x{1FB4}\x{1FB6}\x{1FB7}\x{1FBC}\x{1FC2}-\x{1FC4}\x{1FC6}\x{1FC7}\x{1FCC}\x{1FD2}\x{1FD3}\x{1FD6}\x{1FD7}"
    r"\x{1FE2}-\x{1FE4}\x{1FE6}\x{1FE7}\x{1FF2}-\x{1FF4}\x{1FF6}\x{1FF7}\x{1FFC}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}"
)
_NO_LOWER = r"\x{3A3}"

_MACROS = {
    "spark_integer_text(s, is_try)": _parsed("[+-]?[0-9]+", f"regexp_extract(s, '{_EDGE}([+-]?[0-9]+)', 1)", "integer"),
    "spark_number_text(s, is_try)": _parsed(
        _NUMBER, f"regexp_extract(s, '{_EDGE}({_NUMBER})', 1)", "number", doubtful=_DOUBTFUL_DECIMAL
    ),
    "spark_double_of_text(s, is_try)": _parsed(
        f"{_DOUBLE}[dDfF]?",
        f"CAST(regexp_extract(s, '{_EDGE}({_DOUBLE})', 1) AS DOUBLE)",
        "number",
        doubtful=f"regexp_full_match(s, '(?is){_EDGE}[+-]?0x.*')",
    ).replace(
        "WHEN is_try",
        (
            f"WHEN regexp_full_match(s, '(?i){_EDGE}nan{_EDGE}') THEN CAST('NaN' AS DOUBLE) "
            f"WHEN regexp_full_match(s, '(?i){_EDGE}[+]?inf(inity)?{_EDGE}') THEN CAST('Infinity' AS DOUBLE) "
            f"WHEN regexp_full_match(s, '(?i){_EDGE}-inf(inity)?{_EDGE}') THEN CAST('-Infinity' AS DOUBLE) WHEN is_try"
        ),
    ),
    "spark_date_of_text(s, is_try)": _parsed(
        _DAY,
        f"regexp_extract(s, '{_EDGE}{_DAY}', 1) || '-' || {_part(2)} || '-' || {_part(3)}",
        "date",
        doubtful=rf"regexp_full_match(s, '(?s){_EDGE}([+-][0-9]+|[0-9]{{5,7}})(-.*)?{_EDGE}')",
    ),
    "spark_timestamp_of_text(s)": (
        f"CASE WHEN s IS NULL THEN NULL WHEN regexp_full_match(s, '{_INSTANT}') THEN s "
        f"ELSE {_fail('not proven equal to Spark: cast as timestamp of text unlike 2024-01-31 10:00:00')} END"
    ),
    "spark_boolean_of_text(s, is_try)": (
        f"CASE WHEN s IS NULL THEN NULL WHEN regexp_full_match(s, '(?i){_EDGE}(t|true|y|yes|1){_EDGE}') THEN true "
        f"WHEN regexp_full_match(s, '(?i){_EDGE}(f|false|n|no|0){_EDGE}') THEN false "
        f"WHEN is_try THEN NULL ELSE {_fail('text that is no boolean')} END"
    ),
    "spark_date_text(d)": (
        "CASE WHEN d BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN CAST(d AS VARCHAR) "
        "WHEN d IS NOT NULL THEN error('the text of a date outside the years 1 to 9999') END"
    ),
    "spark_timestamp_text(t)": (
        "CASE WHEN t BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00+00' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999+00' "
        "THEN CAST(CAST(t AS TIMESTAMP) AS VARCHAR) "
        "WHEN t IS NOT NULL THEN error('the text of a timestamp outside the years 1 to 9999') END"
    ),
    "spark_divide(a, b)": (
        "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN b = 0 THEN error('division by zero') ELSE a / b END"
    ),
    "spark_average(total, size, n)": (
        "CASE WHEN size >= 9007199254740992 THEN error('not proven equal to Spark: avg of integers whose sum "
        "passes 2^53; cast to a decimal') WHEN n > 0 THEN CAST(total AS DOUBLE) / CAST(n AS DOUBLE) END"
    ),
    "spark_div(a, b)": (
        "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN b = 0 THEN error('division by zero') ELSE a // b END"
    ),
    "spark_remainder(a, b)": (
        "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN b = 0 THEN error('remainder by zero') ELSE a % b END"
    ),
    "spark_divide_whole(a, b)": (  # half up, away from zero; a and b are HUGEINT
        "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN b = 0 THEN error('division by zero') "
        "ELSE sign(a) * sign(b) * ((abs(a) + abs(b) // 2) // abs(b)) END"
    ),
    "spark_upper(s)": _cased("upper", "replace(s, 'ß', 'SS')", _NO_UPPER),
    "spark_lower(s)": _cased("lower", "replace(s, 'İ', 'i̇')", _NO_LOWER),
    "spark_substring(s, p, n)": (
        "CASE WHEN s IS NULL OR p IS NULL OR n IS NULL THEN NULL "
        "ELSE spark_slice(s, CASE WHEN p > 0 THEN p::BIGINT - 1 WHEN p < 0 THEN length(s) + p ELSE 0 END, n) END"
    ),
    "spark_slice(s, first, n)": (
        "substring(s, greatest(first, 0) + 1, greatest(least(first + n, length(s)) - greatest(first, 0), 0))"
    ),
    "spark_left(s, n)": "CASE WHEN s IS NULL OR n IS NULL THEN NULL ELSE substring(s, 1, greatest(n, 0)) END",
    "spark_right(s, n)": (
        "CASE WHEN s IS NULL OR n IS NULL THEN NULL WHEN n <= 0 THEN '' "
        "ELSE substring(s, greatest(length(s) - n, 0) + 1, n) END"
    ),
    "spark_date_format(t, f)": (
        "CASE WHEN t BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN strftime(t, f) "
        "WHEN t IS NOT NULL THEN error('date_format outside the years 1 to 9999') END"
    ),
    "spark_get(a, i)": "CASE WHEN i >= 0 THEN list_extract(a, i::BIGINT + 1) END",
    "spark_try_element_at(a, n)": (
        "CASE WHEN n = 0 THEN error('element_at counts from 1, found 0') ELSE list_extract(a, n) END"
    ),
    "spark_item(a, i)": (
        "CASE WHEN a IS NULL OR i IS NULL THEN NULL WHEN i < 0 OR i >= len(a) "
        "THEN error('array index ' || i || ' outside an array of ' || len(a)) ELSE list_extract(a, i::BIGINT + 1) END"
    ),
    "spark_element_at(a, n)": (
        "CASE WHEN a IS NULL OR n IS NULL THEN NULL WHEN n = 0 OR abs(n::BIGINT) > len(a) "
        "THEN error('element_at(' || n || ') outside an array of ' || len(a)) ELSE list_extract(a, n) END"
    ),
    "spark_array_contains(a, x)": (
        "CASE WHEN a IS NULL OR x IS NULL THEN NULL WHEN list_contains(a, x) THEN true "
        "WHEN list_count(a) < len(a) THEN NULL ELSE false END"
    ),
    "spark_array_join(a, s)": (
        "CASE WHEN a IS NULL OR s IS NULL THEN NULL ELSE coalesce(list_aggregate(a, 'string_agg', s), '') END"
    ),
    "spark_sequence(a, b)": "CASE WHEN a <= b THEN generate_series(a, b, 1) ELSE generate_series(a, b, -1) END",
    "spark_days(a, b)": (
        "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN a > b "
        "THEN error('sequence: the last day lies before the first') "
        "ELSE CAST(generate_series(CAST(a AS TIMESTAMP), CAST(b AS TIMESTAMP), INTERVAL 1 DAY) AS DATE[]) END"
    ),
}

allowed.MACROS.update(_MACROS)


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Settings, macros and functions, once for a connection and all its cursors."""
    for name, value in SETTINGS.items():
        connection.execute(f"SET GLOBAL {name} = {value!r}")
    for name, body in allowed.MACROS.items():
        connection.execute(f"CREATE OR REPLACE MACRO {name} AS {body}")
    add_functions(connection, allowed.ARROW_FUNCTIONS.values())


def add_functions(connection: duckdb.DuckDBPyConnection, functions: Iterable[allowed.ArrowFunction]) -> None:
    """Functions over Arrow arrays, for this connection and all its cursors."""
    for function in functions:
        arguments = list(function.arguments) if function.arguments is not None else None
        connection.create_function(
            function.name,
            function.run,
            arguments,  # type: ignore[arg-type]
            function.result,  # type: ignore[arg-type]
            type="arrow",  # type: ignore[arg-type]
            null_handling="special",  # type: ignore[arg-type]
        )
