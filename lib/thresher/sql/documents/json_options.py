"""The options of Spark's functions over JSON, written as map('name', 'value', …)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from thresher.sql.documents.json_tokens import Tolerance
from thresher.sql.documents.time_patterns import NoPattern, check_reading, check_writing

_TOLERANCES = {
    "allowcomments": "comments",
    "allowunquotedfieldnames": "unquoted_names",
    "allowsinglequotes": "single_quotes",
    "allownumericleadingzeros": "leading_zeros",
    "allownonnumericnumbers": "special_numbers",
    "allowbackslashescapinganycharacter": "any_escape",
    "allowunquotedcontrolchars": "control_characters",
}
_PATTERNS = {"dateformat": "date", "timestampformat": "timestamp", "timestampntzformat": "timestamp_ntz"}
_SWITCHES = {
    "primitivesasstring": "primitives_as_string",
    "prefersdecimal": "prefers_decimal",
    "dropfieldifallnull": "drops_nulls",
    "ignorenullfields": "ignores_nulls",
    "infertimestamp": "infers_timestamps",
    "pretty": "is_pretty",
    "writenonasciicharacterascodepoint": "only_ascii",
}
# They change how files are read, and nothing here.
_WITHOUT_EFFECT = ("multiline", "samplingratio", "linesep")


class UnknownOption(ValueError):
    """An option, or a value of one, that has no known meaning here; the message names it."""


class WrongOption(ValueError):
    """Spark rejects the option's value, too."""


@dataclass(frozen=True)
class JsonOptions:
    """What the options say, with Spark's defaults."""

    tolerance: Tolerance = Tolerance()
    is_strict: bool = False  # mode FAILFAST: a bad document is an error
    corrupt_column: str = "_corrupt_record"
    patterns: Mapping[str, str] = field(default_factory=dict)  # of date, timestamp, timestamp_ntz
    zone: tzinfo = UTC
    primitives_as_string: bool = False
    prefers_decimal: bool = False
    drops_nulls: bool = False
    infers_timestamps: bool = False
    ignores_nulls: bool = True
    is_pretty: bool = False
    only_ascii: bool = False


def json_options(written: Mapping[str, str], *, is_reading: bool = True) -> JsonOptions:
    """The options by their written names, which Spark takes in any case. Raises UnknownOption, WrongOption.

    >>> json_options({"Mode": "failfast", "allowComments": "true"}).is_strict
    True
    """
    tolerances: dict[str, bool] = {}
    switches: dict[str, bool] = {}
    patterns: dict[str, str] = {}
    is_strict, corrupt_column, zone = False, "_corrupt_record", zone_option("UTC")
    for name, value in written.items():
        key = name.lower()
        if key in _TOLERANCES:
            tolerances[_TOLERANCES[key]] = switch(name, value)
        elif key in _SWITCHES:
            switches[_SWITCHES[key]] = switch(name, value)
        elif key in _PATTERNS:
            patterns[_PATTERNS[key]] = pattern_option(name, value, is_reading=is_reading)
        elif key == "mode":
            is_strict = failfast(value)
        elif key == "timezone":
            zone = zone_option(value)
        elif key == "columnnameofcorruptrecord":
            corrupt_column = value
        elif key in _WITHOUT_EFFECT:
            continue
        else:
            raise UnknownOption(f"option {name}")
    return JsonOptions(Tolerance(**tolerances), is_strict, corrupt_column, patterns, zone, **switches)


def switch(name: str, value: str) -> bool:
    """The value of an option that is true or false."""
    if value.lower() not in ("true", "false"):
        raise WrongOption(f"option {name} is {value!r}; expected 'true' or 'false'")
    return value.lower() == "true"


def failfast(value: str) -> bool:
    """Whether the mode makes bad records an error."""
    if value.upper() == "DROPMALFORMED":
        raise WrongOption("mode is 'DROPMALFORMED'; expected 'PERMISSIVE' or 'FAILFAST'")
    return value.upper() == "FAILFAST"  # any other word means PERMISSIVE


def zone_option(value: str) -> tzinfo:
    """A time zone by its full name, as Europe/Berlin."""
    if value == "UTC":
        return UTC
    try:
        return ZoneInfo(value if "/" in value else "")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownOption(f"option timeZone {value!r}") from None


def pattern_option(name: str, value: str, *, is_reading: bool) -> str:
    """A pattern of dates or times that is known here."""
    try:
        (check_reading if is_reading else check_writing)(value)
    except NoPattern as error:
        raise UnknownOption(f"option {name} with {error}") from None
    return value
