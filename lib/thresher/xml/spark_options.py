"""The options of Spark's XML functions by the names that Spark gives them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from thresher.errors import UsageError


@dataclass(frozen=True)
class _Setting:
    """The field of `xml.Options` that an option of Spark sets, and how its value is read."""

    name: str
    field: str
    read: Callable[[str, Any], Any]


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise UsageError(f"xml option {name}={value!r}; expected a text")
    return value


def _switch(name: str, value: Any) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise UsageError(f"xml option {name}={value!r}; expected true or false")
    return str(value).lower() == "true"


def _mode(name: str, value: Any) -> str:
    return str(value).lower()


def _share(name: str, value: Any) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError):
        raise UsageError(f"xml option {name}={value!r}; expected a number from 0 to 1") from None
    return min(share, 1.0)


_SETTINGS = {
    setting.name.lower(): setting
    for setting in (
        _Setting("mode", "mode", _mode),
        _Setting("attributePrefix", "attribute_prefix", _text),
        _Setting("valueTag", "value_tag", _text),
        _Setting("excludeAttribute", "exclude_attribute", _switch),
        _Setting("ignoreSurroundingSpaces", "ignore_surrounding_spaces", _switch),
        _Setting("ignoreNamespace", "ignore_namespace", _switch),
        _Setting("wildcardColName", "wildcard_column", _text),
        _Setting("columnNameOfCorruptRecord", "corrupt_column", _text),
        _Setting("nullValue", "null_value", _text),
        _Setting("inferSchema", "infer_types", _switch),
        _Setting("samplingRatio", "sampling_ratio", _share),
        _Setting("prefersDecimal", "prefers_decimal", _switch),
        _Setting("preferDate", "prefer_date", _switch),
        _Setting("dateFormat", "date_format", _text),
        _Setting("timestampFormat", "timestamp_format", _text),
        _Setting("timestampNTZFormat", "timestamp_ntz_format", _text),
        _Setting("timeZone", "time_zone", _text),
        _Setting("rowValidationXSDPath", "xsd", _text),
    )
}
# They say how files are read or written; to a column of documents they mean nothing in Spark either.
_WITHOUT_EFFECT = (
    "rowTag rootTag encoding charset multiLine compression indent declaration arrayElementName "
    "validateName ignoreCorruptFiles ignoreMissingFiles treatEmptyValuesAsNulls"
).split()
_IDLE = {name.lower() for name in _WITHOUT_EFFECT}
NAMES = sorted([*(setting.name for setting in _SETTINGS.values()), "locale", *_WITHOUT_EFFECT], key=str.lower)


def is_spark_name(name: str) -> bool:
    """Whether an option is one of Spark's, in any case.

    >>> is_spark_name("nullvalue"), is_spark_name("null_value")
    (True, False)
    """
    return name.lower() in _SETTINGS or name.lower() in _IDLE or name.lower() == "locale"


def spark_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by Spark's names, in any case and with Spark's texts for values, as fields of `xml.Options`.

    Raises UsageError for a value that is none, for an unknown name, and for a locale other than en-US.

    >>> spark_settings({"nullValue": "", "prefersdecimal": "TRUE", "rowTag": "book"})
    {'null_value': '', 'prefers_decimal': True}
    """
    found: dict[str, Any] = {}
    for name, value in options.items():
        key = name.lower()
        if key in _SETTINGS:
            found[_SETTINGS[key].field] = _SETTINGS[key].read(name, value)
        elif key == "locale":
            _check_locale(value)
        elif key not in _IDLE:
            raise UsageError(f"xml option {name!r} is not known; expected one of {', '.join(NAMES)}")
    return found


def _check_locale(value: Any) -> None:
    if str(value).replace("_", "-").lower() not in ("en-us", "en"):
        raise UsageError(f"xml option locale={value!r}; numbers, months and days are read in en-US alone")
