"""Frames of windows: ROWS by a number of rows, RANGE by a distance of the ordered values."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.aggregating.arguments import constant
from thresher.sql.expressions import Expressions, Typed
from thresher.types import TIMESTAMP, TIMESTAMP_NTZ


@dataclass(frozen=True)
class Frame:
    """A frame in DuckDB's words; `is_whole` for all rows, `is_empty` where it can hold none.

    `is_by_value` for a RANGE by a distance.
    """

    sql: str
    is_whole: bool = False
    is_empty: bool = False
    is_by_value: bool = False


@dataclass(frozen=True)
class _Bound:
    """One end: without limit, or so far from the current row (negative: before it), in these words of DuckDB."""

    direction: str
    distance: Decimal | None
    words: str
    unit: str = ""

    @property
    def sql(self) -> str:
        if self.distance is None:
            return f"UNBOUNDED {self.direction}"
        if self.distance == 0:
            return "CURRENT ROW"
        return f"{self.words} {'PRECEDING' if self.distance < 0 else 'FOLLOWING'}"


def frame(e: Expressions, node: exp.WindowSpec, keys: list[Typed]) -> Frame:
    """The frame of a window that is ordered by these keys."""
    e.only(node, {"kind", "start", "start_side", "end", "end_side"})
    kind = str(node.args["kind"]).upper()
    if kind not in ("ROWS", "RANGE"):
        e.wrong(node, f"a {kind} frame; expected ROWS or RANGE.")
    if kind == "RANGE" and not keys:
        e.wrong(node, "a RANGE frame without ORDER BY. Order the window.")
    start, end = (_bound(e, node, side, kind, keys) for side in ("start", "end"))
    if start.sql == "UNBOUNDED FOLLOWING" or end.sql == "UNBOUNDED PRECEDING":
        e.wrong(node, f"the frame from {start.sql} to {end.sql}; expected one that begins before it ends.")
    by_value = kind == "RANGE" and bool(start.words or end.words)
    if start.distance is None or end.distance is None:
        is_whole = start.distance is None and end.distance is None
        return Frame(f"{kind} BETWEEN {start.sql} AND {end.sql}", is_whole, is_by_value=by_value)
    if start.words and end.words and start.unit != end.unit:
        e.wrong(node, f"a frame from an interval in {start.unit} to one in {end.unit}; expected the same units.")
    if start.distance > end.distance:
        if start.words and end.words:
            e.wrong(node, f"the frame from {start.sql} to {end.sql} ends before it begins.")
        return Frame(f"{kind} BETWEEN CURRENT ROW AND CURRENT ROW", is_empty=True)
    return Frame(f"{kind} BETWEEN {start.sql} AND {end.sql}", is_by_value=by_value)


def _bound(e: Expressions, node: exp.WindowSpec, side: str, kind: str, keys: list[Typed]) -> _Bound:
    value = node.args.get(side)
    direction = str(node.args.get(f"{side}_side") or "").upper()
    if value is None or value == "CURRENT ROW":
        return _Bound("", Decimal(0), "")
    if not isinstance(value, exp.Expr):
        return _Bound(direction, None, "")
    if value.find(exp.Column):
        e.wrong(value, "a frame whose size depends on the row; expected a constant.")
    sign = -1 if direction == "PRECEDING" else 1
    if kind == "ROWS":
        rows = constant(value)
        if rows is None or e.expr(value).kind != kinds.INT:
            e.wrong(value, "a frame of ROWS by something that is not a whole number (int).")
        return _Bound(direction, rows * sign, str(abs(int(rows))))
    if len(keys) != 1:
        e.wrong(node, f"a RANGE frame by values with {len(keys)} keys in ORDER BY; expected one.")
    return _range_bound(e, value, direction, sign, keys[0].kind)


def _range_bound(e: Expressions, node: exp.Expr, direction: str, sign: int, key: pa.DataType) -> _Bound:
    """A distance of numbers in the type of the key, of dates in days or months, of instants in an interval."""
    value = e.expr(node)
    if isinstance(value.kind, kinds.Interval):
        amount = _amount(e, node) * sign
        return _interval_bound(e, node, amount, value.kind, direction, key)
    number = constant(node)
    if number is None:
        e.refuse(node, "a frame by a distance that is not a number or an interval", "write the number")
    if key == kinds.DATE and value.kind == kinds.INT:
        return _Bound(direction, number * sign, f"INTERVAL ({abs(int(number))}) DAY")
    if not kinds.is_number(key):
        e.wrong(node, f"a frame by a number over a {kinds.in_spark(key)}.")
    if kinds.is_decimal(key):
        number = number.quantize(Decimal(1).scaleb(-key.scale), ROUND_HALF_UP)
    elif key in kinds.INTEGERS:
        number = Decimal(int(number))
    room = kinds.DOUBLE if key in (kinds.FLOAT, kinds.DOUBLE) else ranged(key)
    return _Bound(direction, number * sign, f"CAST('{abs(number):f}' AS {kinds.in_duckdb(room)})")


def ranged(key: pa.DataType) -> pa.DataType:
    """The type of a key that a distance is added to: an int and its distance may pass the int, as they do in Spark."""
    return kinds.BIGINT if key == kinds.INT else key


def _interval_bound(
    e: Expressions, node: exp.Expr, amount: int, kind: kinds.Interval, direction: str, key: pa.DataType
) -> _Bound:
    is_whole = kind.is_months or kind.first == kind.last == "day"
    if key not in (kinds.DATE, TIMESTAMP, TIMESTAMP_NTZ) or (key == kinds.DATE and not is_whole):
        e.wrong(node, f"a frame by an {kinds.in_spark(kind)} over a {kinds.in_spark(key)}.")
    unit = "MONTH" if kind.is_months else "MICROSECOND"
    return _Bound(direction, Decimal(amount), f"INTERVAL ({abs(amount)}) {unit}", kinds.in_spark(kind))


def _amount(e: Expressions, node: exp.Expr) -> int:
    """The months or microseconds of an interval, also of one in several parts (1 DAY 2 HOURS)."""
    if isinstance(node, exp.Add):
        return _amount(e, node.this) + _amount(e, node.expression)
    found = re.fullmatch(r"CAST\('(-?\d+)' AS \w+\)", e.expr(node).sql)
    if found is None:
        e.refuse(node, "a frame by an interval that is computed", "write the interval")
    return int(found[1])
