"""Time zones by name or offset, as literals: those that Spark knows, by DuckDB's rules for each."""

import re
from functools import cache

import duckdb
from sqlglot import exp

from thresher.sql.allowed import MACROS
from thresher.sql.expressions import Expressions

_SHORT = {  # Java's ZoneId.SHORT_IDS
    "ACT": "Australia/Darwin", "AET": "Australia/Sydney", "AGT": "America/Argentina/Buenos_Aires",
    "ART": "Africa/Cairo", "AST": "America/Anchorage", "BET": "America/Sao_Paulo", "BST": "Asia/Dhaka",
    "CAT": "Africa/Harare", "CNT": "America/St_Johns", "CST": "America/Chicago", "CTT": "Asia/Shanghai",
    "EAT": "Africa/Addis_Ababa", "ECT": "Europe/Paris", "IET": "America/Indiana/Indianapolis", "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo", "MIT": "Pacific/Apia", "NET": "Asia/Yerevan", "NST": "Pacific/Auckland",
    "PLT": "Asia/Karachi", "PNT": "America/Phoenix", "PRT": "America/Puerto_Rico", "PST": "America/Los_Angeles",
    "SST": "Pacific/Guadalcanal", "VST": "Asia/Ho_Chi_Minh",
}  # fmt: skip
_FIXED = {"EST": -5 * 3600, "MST": -7 * 3600, "HST": -10 * 3600, "Z": 0, "UTC": 0, "GMT": 0, "UT": 0}
# Where DuckDB's zone data and Java's differ between 1850 and 2036, found by comparing all zones month by month.
_DIFFERENT = frozenset(
    "Africa/Casablanca Africa/El_Aaiun America/Edmonton America/Ensenada America/Inuvik America/Santa_Isabel "
    "America/Tijuana America/Vancouver America/Yellowknife Asia/Tehran Canada/Mountain Canada/Pacific Iran "
    "Mexico/BajaNorte CST6CDT EST5EDT MST7MDT PST8PDT SystemV/AST4ADT SystemV/CST6CDT SystemV/EST5EDT "
    "SystemV/MST7MDT SystemV/PST8PDT SystemV/YST9YDT".split()
)
_UNKNOWN = frozenset("America/Coyhaique Canada/East-Saskatchewan Factory ROC US/Pacific-New".split())
_OFFSET = re.compile(r"(?:(?:UTC|GMT|UT)(?=[+-]))?([+-])(\d{1,2})(?::?(\d{1,2}))?(?::?(\d{2}))?", re.ASCII)

MACROS.update(
    {
        "spark_zone_shift(z, t)": "epoch_us(timezone(z, CAST(t AS TIMESTAMPTZ))) - epoch_us(t)",
        "spark_unshifted(t, shift)": "make_timestamp(epoch_us(t) - shift)",
        # A local time that comes twice, or never: Java takes the shift from before the clocks change.
        "spark_to_utc(z, t)": (
            "list_transform([{'t': t, 'old': spark_zone_shift(z, t - to_days(1)), "
            "'new': spark_zone_shift(z, t + to_days(1))}], lambda zoned: CASE WHEN zoned['old'] = zoned['new'] "
            "OR spark_zone_shift(z, spark_unshifted(zoned['t'], zoned['old'])) = zoned['old'] "
            "OR spark_zone_shift(z, spark_unshifted(zoned['t'], zoned['new'])) <> zoned['new'] "
            "THEN spark_unshifted(zoned['t'], zoned['old']) ELSE spark_unshifted(zoned['t'], zoned['new']) END)[1]"
        ),
    }
)


@cache
def _names() -> frozenset[str]:
    rows = duckdb.connect().execute("SELECT name FROM pg_timezone_names()").fetchall()
    return frozenset(name for (name,) in rows) - _UNKNOWN


def zone(e: Expressions, node: exp.Expr) -> str | int | None:
    """A literal zone as a name that DuckDB knows, or as the seconds of its offset; None for NULL."""
    value = e.expr(node)
    if value.sql == "NULL":
        return None
    name = value.literal
    if not isinstance(name, str):
        e.refuse(node, "a time zone that is no literal", "write the zone as text, one query part for each")
    if name in _FIXED:
        return _FIXED[name]
    match = _OFFSET.fullmatch(name)
    if match is not None:
        return _seconds(e, node, match)
    name = _SHORT.get(name, name)
    if name in _DIFFERENT:
        e.refuse(node, f"the time zone {name}, whose rules differ between the engines")
    if name not in _names():
        e.wrong(node, f"no time zone {name!r}; expected a name like Europe/Berlin or an offset like +02:00.")
    return name


def _seconds(e: Expressions, node: exp.Expr, match: re.Match[str]) -> int:
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:])
    total = hours * 3600 + minutes * 60 + seconds
    if minutes > 59 or seconds > 59 or total > 18 * 3600:
        e.wrong(node, f"no time zone {match[0]!r}; offsets reach from -18:00 to +18:00.")
    has_odd_form = match[0][0] not in "+-" and not re.fullmatch(r"[A-Z]+[+-](\d|\d\d|\d\d:?\d\d)", match[0])
    if has_odd_form or (
        match[0][0] in "+-" and not re.fullmatch(r"[+-](\d|\d\d|\d\d?:\d\d?|\d{4}|\d\d:\d\d:\d\d)", match[0])
    ):
        e.refuse(node, f"the offset {match[0]!r}", "write it like +02:00")
    return -total if match[1] == "-" else total


def to_local(zone: str | int, moment: str) -> str:
    """The clock of a zone (a DuckDB TIMESTAMP) at a UTC time (a TIMESTAMP)."""
    if isinstance(zone, int):
        return f"make_timestamp(epoch_us({moment}) + {zone * 1_000_000})"
    return f"timezone('{zone}', CAST({moment} AS TIMESTAMPTZ))"


def to_utc(zone: str | int, moment: str) -> str:
    """The UTC time (a DuckDB TIMESTAMP) at which a zone's clock shows this (a TIMESTAMP)."""
    if isinstance(zone, int):
        return f"make_timestamp(epoch_us({moment}) - {zone * 1_000_000})"
    return f"spark_to_utc('{zone}', {moment})"
