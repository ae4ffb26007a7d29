"""Simple types of an XSD → types of values."""

import pyarrow as pa

from thresher.errors import UsageError
from thresher.types import TIMESTAMP
from thresher.xml.xsd_components import TYPE, Component, Components
from thresher.xml.xsd_files import XS

_INTEGER = pa.decimal128(38, 0)
_DECIMAL = "decimal"
# A default of Spark's: without facets nobody knows how many digits stand after the point.
_PRECISION, _SCALE = 38, 18
_BUILT_IN: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "double": pa.float64(),
    "float": pa.float32(),
    "byte": pa.int8(),
    "short": pa.int16(),
    "unsignedByte": pa.int16(),
    "int": pa.int32(),
    "unsignedShort": pa.int32(),
    "long": pa.int64(),
    "unsignedInt": pa.int64(),
    "unsignedLong": _INTEGER,
    "integer": _INTEGER,
    "negativeInteger": _INTEGER,
    "nonNegativeInteger": _INTEGER,
    "nonPositiveInteger": _INTEGER,
    "positiveInteger": _INTEGER,
    _DECIMAL: pa.decimal128(_PRECISION, _SCALE),
    "date": pa.date32(),
    "dateTime": TIMESTAMP,
    "dateTimeStamp": TIMESTAMP,
}


def is_built_in(name: str) -> bool:
    """Whether `{uri}local` is one of XML Schema's own types."""
    return name.startswith(XS)


def simple_type(component: Component | None, name: str, components: Components, *, is_spark: bool) -> pa.DataType:
    """A simple type (its definition, or the name of a built-in one) → the type of its values.

    Restrictions are followed to the built-in type; a decimal has room for all digits that its facets allow. Lists and
    unions are strings. As Spark reads it: the facets of the outermost restriction alone, a string where a named type
    restricts a named type, and a decimal that lacks room for its digits before the point. Raises UsageError for a
    type that is not declared or restricts itself.
    """
    facets: dict[str, int] = {}
    passed: list[Component] = []
    while component is not None:
        restriction = component.first("restriction")
        if restriction is None:
            return pa.string()
        if any(earlier.element is component.element for earlier in passed):
            raise UsageError(f"{component.place}: the type restricts itself; expected no such circle")
        passed.append(component)
        if not (is_spark and len(passed) > 1):
            facets = _digits(restriction) | facets
        base = restriction.element.get("base")
        if base is None:
            component = restriction.first("simpleType")
            continue
        name = restriction.qualified(base)
        component = None if is_built_in(name) else components.get(TYPE, name, restriction)
    if is_spark and sum("name" in earlier.element.attrib for earlier in passed) > 1:
        return pa.string()
    local = name.removeprefix(XS)
    if local == _DECIMAL and facets:
        return _decimal(facets, is_spark=is_spark)
    return _BUILT_IN.get(local, pa.string())


def _digits(restriction: Component) -> dict[str, int]:
    """The facets that count digits."""
    return {
        facet.tag: int(value)
        for facet in restriction.children("totalDigits", "fractionDigits")
        if (value := facet.element.get("value", "")).strip().isdigit()
    }


def _decimal(facets: dict[str, int], *, is_spark: bool) -> pa.DataType:
    total = min(facets.get("totalDigits", _PRECISION), _PRECISION)
    scale = min(facets.get("fractionDigits", _SCALE), total)
    # 12345 has five digits in all, and is allowed where two may stand after the point.
    precision = total if is_spark else min(total + scale, _PRECISION)
    return pa.decimal128(max(precision, 1), scale)
