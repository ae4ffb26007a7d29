"""What Spark's ANSI cast turns one type into another with, as DuckDB text.

The text of numbers, dates and instants is read by `number_reading` and `time_reading`: DuckDB accepts and rounds what
Spark refuses.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from thresher.sql import kinds  # noqa: F401 - they register their macros
from thresher.sql.allowed import MACROS, arrow_function
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ

_INSTANTS = (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ)
_FLOATING = (kinds.FLOAT, kinds.DOUBLE)
# What costs next to nothing: a name, a text, their cast.
_SIMPLE = re.compile(r"""(?:CAST\()?(?:[\w."]+|'[^']*')(?: AS [\w(), ]+\))?""")

MACROS.update(
    {
        "spark_year_text(y)": (
            "CASE WHEN y > 9999 THEN '+' || y WHEN y < 0 THEN '-' || lpad(CAST(-y AS VARCHAR), 4, '0') "
            "ELSE lpad(CAST(y AS VARCHAR), 4, '0') END"
        ),
        "spark_date_text(d)": (
            "CASE WHEN d BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN CAST(d AS VARCHAR) "
            "WHEN d IS NOT NULL THEN spark_year_text(year(d)) || strftime(d, '-%m-%d') END"
        ),
        "spark_timestamp_text(t)": (
            "CASE WHEN t BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00+00' AND "
            "TIMESTAMPTZ '9999-12-31 23:59:59.999999+00' THEN CAST(CAST(t AS TIMESTAMP) AS VARCHAR) "
            "WHEN t IS NOT NULL THEN spark_date_text(CAST(CAST(t AS TIMESTAMP) AS DATE)) || ' ' || "
            "CAST(CAST(CAST(t AS TIMESTAMP) AS TIME) AS VARCHAR) END"
        ),
        "spark_float(x)": (  # DuckDB has no infinite float for a double that is too large
            "CASE WHEN isnan(x) OR abs(x) < 3.4028235677973366e38 THEN CAST(x AS FLOAT) "
            "WHEN x > 0 THEN CAST('Infinity' AS FLOAT) WHEN x < 0 THEN CAST('-Infinity' AS FLOAT) END"
        ),
        "spark_bigint(x, is_try)": (  # 2^63 itself counts as the largest bigint
            "CASE WHEN x = 9223372036854775808 THEN 9223372036854775807 "
            "WHEN is_try THEN TRY_CAST(x AS BIGINT) ELSE CAST(x AS BIGINT) END"
        ),
        "spark_instant(micros)": (
            "CASE WHEN micros BETWEEN -62135596800000000 AND 253402300799999999 "
            "THEN make_timestamptz(CAST(micros AS BIGINT)) WHEN micros IS NOT NULL "
            "THEN error('not proven equal to Spark: an instant outside the years 1 to 9999') END"
        ),
        "spark_instant_of_double(x, is_try)": (
            "CASE WHEN x IS NULL THEN NULL WHEN abs(x) <= 9223372036854.775 "
            "THEN spark_instant(trunc(x * 1000000)) "
            "WHEN is_try THEN NULL ELSE error('no timestamp has this number of seconds: ' || x) END"
        ),
        "spark_instant_of_number(s)": (  # of the text of a decimal; digits behind the sixth are cut
            "spark_instant(CAST(split_part(s, '.', 1) AS HUGEINT) * 1000000 "
            "+ CASE WHEN starts_with(s, '-') THEN -1 ELSE 1 END "
            "* CAST(rpad(left(split_part(s, '.', 2), 6), 6, '0') AS INTEGER))"
        ),
        "spark_seconds(micros)": "(micros - (micros % 1000000 + 1000000) % 1000000) // 1000000",
    }
)


@dataclass(frozen=True)
class Conversion:
    """The ways from type to type, for a cast or a try_cast."""

    is_try: bool

    def of(self, sql: str, old: pa.DataType, new: pa.DataType) -> str | None:
        """DuckDB text for the value in the new type; None where Spark has no such cast."""
        if old == new:
            return sql
        if old in (kinds.VOID, kinds.NO_KEY):
            return self._null(sql, new)
        if new == kinds.STRING:
            return self._text(sql, old)
        if kinds.is_array(old) or kinds.is_map(old) or kinds.is_struct(old):
            return self._nested(sql, old, new)
        if old == kinds.STRING:
            return self._from_text(sql, new)
        if old == kinds.BOOL:
            return self._from_boolean(sql, new)
        if kinds.is_number(old):
            return self._from_number(sql, old, new)
        if old in _INSTANTS:
            return self._from_instant(sql, old, new)
        return None

    def _cast(self, sql: str, new: pa.DataType) -> str:
        return f"{'TRY_CAST' if self.is_try else 'CAST'}({sql} AS {kinds.in_duckdb(new)})"

    def _macro(self, name: str, sql: str, *, knows_try: bool = False) -> str:
        """A macro over a value, which it names several times."""
        is_try = (", true" if self.is_try else ", false") if knows_try else ""
        return str(self._once(sql, lambda value: f"{name}({value}{is_try})"))

    def _once(self, sql: str, make: Callable[[str], str | None]) -> str | None:
        """What is made of a value that is named several times, and computed once."""
        if _SIMPLE.fullmatch(sql):
            return make(sql)
        name = _variable(sql)
        made = make(name)
        return f"list_extract(list_transform([{sql}], lambda {name}: {made}), 1)" if made is not None else None

    def _unless_null(self, sql: str, make: Callable[[str], str | None]) -> str | None:
        def guarded(value: str) -> str | None:
            made = make(value)
            return f"CASE WHEN {value} IS NOT NULL THEN {made} END" if made is not None else None

        return self._once(sql, guarded)

    def _null(self, sql: str, new: pa.DataType) -> str:
        if kinds.is_atomic(new):
            return f"CAST({sql} AS {kinds.in_duckdb(new)})"
        return f"CASE WHEN {sql} IS NULL THEN CAST(NULL AS {kinds.in_duckdb(new)}) END"

    def _from_text(self, sql: str, new: pa.DataType) -> str | None:
        if new in kinds.INTEGERS:
            return self._cast(self._macro("spark_integer_text", sql, knows_try=True), new)
        if kinds.is_decimal(new):
            return self._cast(self._macro("spark_number_text", sql, knows_try=True), new)
        if new == kinds.BINARY:
            return f"encode({sql})"
        if new not in (*_FLOATING, kinds.BOOL, *_INSTANTS):
            return None
        read = self._macro(f"spark_{kinds.in_spark(new)}_of_text", sql, knows_try=True)
        return self._cast(read, new) if new in _INSTANTS else read

    def _from_boolean(self, sql: str, new: pa.DataType) -> str | None:
        if kinds.is_decimal(new):  # by way of an integer: DuckDB makes 0.1 of true as decimal(1,1)
            return self._cast(f"CAST({sql} AS INTEGER)", new)
        return f"CAST({sql} AS {kinds.in_duckdb(new)})" if kinds.is_number(new) else None

    def _from_number(self, sql: str, old: pa.DataType, new: pa.DataType) -> str | None:
        if new == kinds.BOOL:
            return f"CAST({sql} AS BOOLEAN)"
        if new == TIMESTAMP:
            return self._instant(sql, old)
        if not kinds.is_number(new):
            return None
        if old in kinds.INTEGERS:
            return self._narrowed(sql, old, new)
        if kinds.is_decimal(old):
            if new in _FLOATING:  # by way of the text: DuckDB's own conversion rounds twice
                return f"CAST(CAST({sql} AS VARCHAR) AS {kinds.in_duckdb(new)})"
            return self._narrowed(f"trunc({sql})" if new in kinds.INTEGERS else sql, old, new)
        double = sql if old == kinds.DOUBLE else f"CAST({sql} AS DOUBLE)"
        if new in _FLOATING:
            return double if new == kinds.DOUBLE else self._macro("spark_float", sql)
        if kinds.is_decimal(new):
            return self._cast(self._macro("spark_double_digits", double), new)
        if new == kinds.BIGINT:
            return self._macro("spark_bigint", f"trunc({double})", knows_try=True)
        return self._cast(f"trunc({double})", new)

    def _narrowed(self, sql: str, old: pa.DataType, new: pa.DataType) -> str:
        cast = self._cast(sql, new)
        return cast if kinds.wider(old, new) == new else kinds.kept(cast)

    def _instant(self, sql: str, old: pa.DataType) -> str:
        """A number of seconds since 1970 as an instant."""
        if old in kinds.INTEGERS:
            return self._macro("spark_instant", f"CAST({sql} AS HUGEINT) * 1000000")
        if kinds.is_decimal(old):
            return self._macro("spark_instant_of_number", number_in_full(sql, old))
        return self._macro("spark_instant_of_double", f"CAST({sql} AS DOUBLE)", knows_try=True)

    def _from_instant(self, sql: str, old: pa.DataType, new: pa.DataType) -> str | None:
        if new in _INSTANTS:
            return f"CAST({sql} AS {kinds.in_duckdb(new)})"
        if old != TIMESTAMP or not kinds.is_number(new):
            return None
        micros = f"epoch_us({sql})"
        if new in kinds.INTEGERS:
            return self._cast(self._macro("spark_seconds", micros), new)
        if kinds.is_decimal(new):
            return self._cast(f"(CAST({micros} AS DECIMAL(18,0)) * CAST(0.000001 AS DECIMAL(7,6)))", new)
        seconds = f"(CAST({micros} AS DOUBLE) / 1000000)"
        return seconds if new == kinds.DOUBLE else f"CAST({seconds} AS FLOAT)"

    def _text(self, sql: str, old: pa.DataType) -> str:
        if old in (*_FLOATING, kinds.DATE, TIMESTAMP):
            return self._macro(f"spark_{kinds.in_spark(old)}_text", sql)
        if old == TIMESTAMP_NTZ:
            return self._macro("spark_timestamp_text", f"CAST({sql} AS TIMESTAMPTZ)")
        if old == kinds.BINARY:
            return f"spark_text_of_bytes({sql})"
        if kinds.is_decimal(old):
            return number_in_full(sql, old)
        if not kinds.is_atomic(old):
            return str(self._unless_null(sql, lambda value: self._nested_text(value, old)))
        return f"CAST({sql} AS VARCHAR)"

    def _nested_text(self, sql: str, old: pa.DataType) -> str:
        opening, closing = ("[", "]") if kinds.is_array(old) else ("{", "}")
        if kinds.is_array(old):
            texts = self._texts(sql, old.value_type)
        elif kinds.is_map(old):
            keys, values = (
                self._texts(f"map_keys({sql})", old.key_type),
                self._texts(f"map_values({sql})", old.item_type),
            )
            pair = _variable(keys)
            texts = f"list_transform(list_zip({keys}, {values}), lambda {pair}: {pair}[1] || ' -> ' || {pair}[2])"
        else:
            fields = [self._shown(_field(sql, n), field.type) for n, field in enumerate(old, 1)]
            texts = f"[{', '.join(fields)}]"
        return f"'{opening}' || array_to_string({texts}, ', ') || '{closing}'"

    def _texts(self, sql: str, old: pa.DataType) -> str:
        item = _variable(sql)
        return f"list_transform({sql}, lambda {item}: {self._shown(item, old)})"

    def _shown(self, sql: str, old: pa.DataType) -> str:
        return f"coalesce({self.of(sql, old, kinds.STRING)}, 'null')"

    def _nested(self, sql: str, old: pa.DataType, new: pa.DataType) -> str | None:
        if kinds.is_array(old) and kinds.is_array(new):
            return self._items(sql, old.value_type, new.value_type)
        if kinds.is_map(old) and kinds.is_map(new):
            return self._unless_null(sql, lambda value: self._map(value, old, new))
        if kinds.is_struct(old) and kinds.is_struct(new) and len(old) == len(new):
            return self._unless_null(sql, lambda value: self._struct(value, old, new))
        return None

    def _items(self, sql: str, old: pa.DataType, new: pa.DataType) -> str | None:
        item = _variable(sql)
        converted = self.of(item, old, new)
        word = f"{kinds.in_duckdb(new)}[]"
        if converted in (None, item):
            return converted and sql
        if converted == f"CAST({item} AS {kinds.in_duckdb(new)})":
            return f"CAST({sql} AS {word})"
        return f"CAST(list_transform({sql}, lambda {item}: {converted}) AS {word})"

    def _map(self, sql: str, old: pa.DataType, new: pa.DataType) -> str | None:
        if self.is_try and old.key_type == kinds.STRING and new.key_type not in (kinds.STRING, kinds.BINARY):
            return None  # a key would be NULL
        keys = self._items(f"map_keys({sql})", old.key_type, new.key_type)
        values = self._items(f"map_values({sql})", old.item_type, new.item_type)
        if keys is None or values is None:
            return None
        return f"CAST(spark_map_cast({keys}, {values}) AS {kinds.in_duckdb(new)})"

    def _struct(self, sql: str, old: pa.DataType, new: pa.DataType) -> str | None:
        fields = []
        for number, (before, after) in enumerate(zip(old, new, strict=True), 1):
            converted = self.of(_field(sql, number), before.type, after.type)
            if converted is None:
                return None
            fields.append(f"{kinds.quoted(after.name)} := {converted}")
        return f"struct_pack({', '.join(fields)})"


MACROS["spark_map_cast(keys, items)"] = (
    "map(CASE WHEN len(list_distinct(keys)) = len(keys) THEN keys WHEN keys IS NOT NULL "
    "THEN error('not proven equal to Spark: a cast that makes one key of two in a map') END, items)"
)


@arrow_function("spark_text_of_bytes", ["BLOB"], "VARCHAR")
def _texts_of_bytes(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        raise ValueError("not proven equal to Spark: text of bytes that are no UTF-8") from None


def _variable(sql: str) -> str:
    """A name for a lambda over this value: the same for the same text, so that GROUP BY finds it again."""
    return f"v{zlib.crc32(sql.encode()):08x}"


def _field(sql: str, number: int) -> str:
    return f"struct_extract_at({sql}, {number})"


def number_in_full(sql: str, old: pa.DataType) -> str:
    """The text of a decimal."""
    if old.scale < old.precision:
        return f"CAST({sql} AS VARCHAR)"
    # DuckDB leaves out the zero before the point where the type has no room for it.
    if old.precision < kinds.MAX_PRECISION:
        return f"CAST(CAST({sql} AS DECIMAL({old.precision + 1},{old.scale})) AS VARCHAR)"
    return f"regexp_replace(CAST({sql} AS VARCHAR), '^(-?)[.]', '\\10.')"
