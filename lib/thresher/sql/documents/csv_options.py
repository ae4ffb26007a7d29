"""The options of Spark's functions over CSV, written as map('name', 'value', …)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any

from thresher.sql.documents.json_options import (
    UnknownOption,
    WrongOption,
    failfast,
    pattern_option,
    switch,
    zone_option,
)

_PATTERNS = {"dateformat": "date", "timestampformat": "timestamp", "timestampntzformat": "timestamp_ntz"}
_SWITCHES = {
    "ignoreleadingwhitespace": "trims_left",
    "ignoretrailingwhitespace": "trims_right",
    "quoteall": "quotes_all",
    "preferdate": "prefers_dates",
}
_TEXTS = {
    "columnnameofcorruptrecord": "corrupt_column",
    "nullvalue": "null",
    "emptyvalue": "empty",
    "nanvalue": "nan",
    "positiveinf": "infinity",
    "negativeinf": "minus_infinity",
}
_CHARACTERS = {"quote": "quote", "escape": "escape"}
# They change how files are read, and nothing here.
_IDLE_SWITCHES = ("header", "inferschema", "enforceschema", "multiline")


@dataclass(frozen=True)
class CsvOptions:
    """What the options say, with Spark's defaults; None where reading and writing have different ones."""

    separator: str = ","
    quote: str = '"'
    escape: str = "\\"
    is_strict: bool = False  # mode FAILFAST: a bad record is an error
    corrupt_column: str = "_corrupt_record"
    null: str = ""
    empty: str | None = None
    nan: str = "NaN"
    infinity: str = "Inf"
    minus_infinity: str = "-Inf"
    trims_left: bool | None = None
    trims_right: bool | None = None
    quotes_all: bool = False
    prefers_dates: bool = True
    zone: tzinfo = UTC
    patterns: Mapping[str, str] = field(default_factory=dict)  # of date, timestamp, timestamp_ntz


def csv_options(written: Mapping[str, str], *, is_reading: bool = True) -> CsvOptions:
    """The options by their written names, which Spark takes in any case. Raises UnknownOption, WrongOption.

    >>> csv_options({"SEP": "\\\\t", "nullValue": "-"}).separator
    '\\t'
    """
    found: dict[str, Any] = {}
    patterns: dict[str, str] = {}
    for name, value in written.items():
        key = name.lower()
        if key in _SWITCHES:
            found[_SWITCHES[key]] = switch(name, value)
        elif key in _TEXTS:
            found[_TEXTS[key]] = value
        elif key in _CHARACTERS:
            found[_CHARACTERS[key]] = _character(name, value)
        elif key in _PATTERNS:
            patterns[_PATTERNS[key]] = pattern_option(name, value, is_reading=is_reading)
        elif key in ("sep", "delimiter"):
            found["separator"] = _separator(name, value)
        elif key == "mode":
            found["is_strict"] = failfast(value)
        elif key == "timezone":
            found["zone"] = zone_option(value)
        elif key in _IDLE_SWITCHES:
            switch(name, value)
        else:
            raise UnknownOption(f"option {name}")
    return _checked(CsvOptions(**found, patterns=patterns))


def _checked(options: CsvOptions) -> CsvOptions:
    marks = (options.separator, options.quote, options.escape)
    if options.escape not in ("\\", options.quote) or options.quote in ("\\", options.separator):
        raise UnknownOption(f"separator, quote and escape {marks}")
    if options.separator.isspace() and (options.trims_left or options.trims_right):
        raise UnknownOption("a separator of white space that is trimmed")
    return options


def _character(name: str, value: str) -> str:
    if len(value) > 1:
        raise WrongOption(f"option {name} is {value!r}; expected one character")
    if name.lower() == "escape" and not value:
        raise UnknownOption("an empty option escape")
    return value


def _separator(name: str, value: str) -> str:
    if not value or value == "\\":
        raise WrongOption(f"option {name} is {value!r}; expected a separator")
    if value == "\\t":
        return "\t"
    if "\\" in value:
        raise UnknownOption(f"option {name} {value!r}")
    return value
