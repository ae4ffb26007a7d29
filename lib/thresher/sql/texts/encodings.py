"""Functions between text and bytes: character sets, base64, URL encoding, valid UTF-8."""

import base64
import binascii
import re
import string
from functools import partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import MACROS, construct, function
from thresher.sql.casting.casts import convert
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.texts.row_functions import row_function
from thresher.sql.texts.strings import argument, typed_argument

_strings = partial(function, group="Strings")

# Spark's character sets, and Python's names for them.
_CHARSETS = {
    "US-ASCII": "ascii",
    "ISO-8859-1": "latin-1",
    "UTF-8": "utf-8",
    "UTF-16BE": "utf-16-be",
    "UTF-16LE": "utf-16-le",
    "UTF-16": "utf-16",
    "UTF-32": "utf-32",
}


def _charset(name: str) -> str:
    if name.upper() not in _CHARSETS:
        raise ValueError(f"the character set {name!r}; expected one of {', '.join(_CHARSETS)}")
    return _CHARSETS[name.upper()]


@row_function("spark_encode", ["VARCHAR", "VARCHAR"], "BLOB")
def _encoded(text: str, charset: str) -> bytes:
    codec = _charset(charset)
    if codec in ("utf-16", "utf-32"):  # big end first; only UTF-16 has a mark, and not for an empty text
        mark = b"\xfe\xff" if codec == "utf-16" and text else b""
        return mark + text.encode(f"{codec}-be")
    return text.encode(codec)


@row_function("spark_decode", ["BLOB", "VARCHAR"], "VARCHAR")
def _decoded(value: bytes, charset: str) -> str:
    codec = _charset(charset)
    if codec in ("utf-16", "utf-32"):
        size = 2 if codec == "utf-16" else 4
        little = (b"\xff\xfe", b"\xff\xfe\0\0")[size // 4]
        order = "le" if value.startswith(little) else "be"
        marked = value.startswith((little, little[::-1]))
        return value[size * marked :].decode(f"{codec}-{order}")
    return value.decode(codec)


def _bytes(e: Expressions, node: exp.Expr, value: Typed, what: str) -> str:
    if value.kind not in (kinds.BINARY, kinds.STRING, kinds.VOID):
        e.wrong(node, f"{what} is {kinds.in_spark(value.kind)}; expected binary or text.")
    return e.coerce(node, value, kinds.BINARY, what).sql


@_strings(
    "encode",
    2,
    2,
    "encode(s, charset)",
    "SELECT encode('é', 'UTF-16') AS a",
    note="Character sets: " + ", ".join(_CHARSETS) + ". What the set does not hold is an error.",
)
def _encode(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_encode({argument(e, node, 0).sql}, {argument(e, node, 1).sql})", kinds.BINARY)


@construct(
    exp.Decode,
    parts="this charset",
    group="Strings",
    signature="decode(bytes, charset)",
    example="SELECT decode(X'c3a9', 'UTF-8') AS a",
)
def _decode(e: Expressions, node: exp.Decode) -> Typed:
    value = _bytes(e, node, e.expr(node.this), "the first argument of decode")
    charset = e.text(node.args["charset"], "the character set of decode").sql
    return Typed(f"spark_decode({value}, {charset})", kinds.STRING)


@construct(
    exp.DecodeCase,
    parts="expressions",
    group="Conditions",
    signature="decode(x, a, b, c, d, …, [otherwise])",
    note="b where x is a, d where it is c, …; NULL is equal to NULL.",
    example="SELECT decode(2, 1, 'one', 2, 'two', 'more') AS a",
)
def _decode_case(e: Expressions, node: exp.DecodeCase) -> Typed:
    subject, *rest = node.expressions
    pairs = list(zip(rest[::2], rest[1::2], strict=False))
    default = rest[-1] if len(rest) % 2 else None
    keys, _ = e.common(node, [e.expr(subject), *(e.expr(key) for key, _ in pairs)], "decode")
    results = [e.expr(value) for _, value in pairs]
    # Without a default Spark takes a NULL of type string, which takes part in the common type.
    results.append(e.expr(default) if default is not None else Typed("CAST(NULL AS VARCHAR)", kinds.STRING))
    values, kind = e.common(node, results, "decode")
    branches = " ".join(
        f"WHEN {keys[0].sql} IS NOT DISTINCT FROM {key.sql} THEN {value.sql}"
        for key, value in zip(keys[1:], values, strict=False)
    )
    return Typed(f"CASE {branches} ELSE {values[-1].sql} END", kind)


# 76 characters a line, as in mail.
MACROS["spark_base64(b)"] = (
    "rtrim(regexp_replace(base64(b), '(.{76})', '\\1' || chr(13) || chr(10), 'g'), chr(13) || chr(10))"
)


@_strings("base64", 1, 1, "base64(bytes)", "SELECT base64('abc') AS a", note="In lines of 76 characters.")
def _base64(e: Expressions, node: exp.Anonymous) -> Typed:
    value = _bytes(e, node, e.expr(node.expressions[0]), "the argument of base64")
    return Typed(f"spark_base64({value})", kinds.STRING)


@row_function("spark_unbase64", ["VARCHAR"], "BLOB")
def _unbase64_of(text: str) -> bytes:
    """What is no digit is skipped; after the padding nothing may follow."""
    digits = re.sub("[^A-Za-z0-9+/=]", "", text)
    whole = digits.rstrip("=")
    padding = len(digits) - len(whole)
    if "=" in whole or len(whole) % 4 == 1 or (padding and (len(digits) % 4 or padding > 2)):
        raise ValueError(f"unbase64 of {text!r}, which is no base64")
    return base64.b64decode(whole + "=" * (-len(whole) % 4))


@_strings("unbase64", 1, 1, "unbase64(s)", "SELECT unbase64('YWJj') AS a")
def _unbase64(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_unbase64({argument(e, node, 0).sql})", kinds.BINARY)


_BASE64_TEXT = re.compile(r"\s*(?:(?:[A-Za-z0-9+/]\s*){4})*(?:(?:[A-Za-z0-9+/]\s*){2,3}=?=?)?")


@row_function("spark_to_binary", ["VARCHAR", "VARCHAR", "BOOLEAN"], "BLOB")
def _to_binary_of(text: str, form: str, is_try: bool) -> bytes | None:
    try:
        if form == "hex":
            if not re.fullmatch("[0-9A-Fa-f]*", text):
                raise ValueError
            return bytes.fromhex("0" * (len(text) % 2) + text)
        if form == "base64":
            if not _BASE64_TEXT.fullmatch(text) or re.search(r"\s=", text):
                raise ValueError
            return _unbase64_of(text)
    except (ValueError, binascii.Error):
        if is_try:
            return None
        raise ValueError(f"to_binary of {text!r}, which is no {form}") from None
    return text.encode()


@_strings(
    "to_binary try_to_binary",
    1,
    2,
    "to_binary(s [, form]), try_to_binary(s [, form])",
    "SELECT to_binary('6162', 'hex') AS a",
    note="Form: the literal 'hex' (default), 'base64' or 'utf-8'.",
)
def _to_binary(e: Expressions, node: exp.Anonymous) -> Typed:
    is_try = node.name.lower() == "try_to_binary"
    form = e.expr(node.expressions[1]) if len(node.expressions) > 1 else Typed("", kinds.STRING, literal="hex")
    if form.kind == kinds.VOID:
        return Typed("NULL::BLOB", kinds.BINARY)
    if not isinstance(form.literal, str):
        e.wrong(node, f"the form of {node.name} is no literal; expected 'hex', 'base64' or 'utf-8'.")
    word = form.literal.lower().replace("utf8", "utf-8")
    if word not in ("hex", "base64", "utf-8"):
        if is_try:
            return Typed("NULL::BLOB", kinds.BINARY)
        e.wrong(node, f"the form of to_binary is {form.literal!r}; expected 'hex', 'base64' or 'utf-8'.")
    text = argument(e, node, 0).sql
    return Typed(f"spark_to_binary({text}, '{word}', {str(is_try).lower()})", kinds.BINARY)


def _is_valid(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _validated(value: bytes) -> str:
    if not _is_valid(value):
        raise ValueError(f"bytes that are no UTF-8: {value.hex()}")
    return value.decode()


row_function("spark_is_valid_utf8", ["BLOB"], "BOOLEAN")(_is_valid)
row_function("spark_make_valid_utf8", ["BLOB"], "VARCHAR")(lambda value: value.decode(errors="replace"))
row_function("spark_validate_utf8", ["BLOB"], "VARCHAR")(_validated)
row_function("spark_try_validate_utf8", ["BLOB"], "VARCHAR")(lambda value: value.decode() if _is_valid(value) else None)


@_strings(
    "is_valid_utf8 make_valid_utf8 validate_utf8 try_validate_utf8",
    1,
    1,
    "is_valid_utf8(bytes), make_valid_utf8(bytes), validate_utf8(bytes), try_validate_utf8(bytes)",
    "SELECT make_valid_utf8(X'61ff') AS a",
)
def _utf8(e: Expressions, node: exp.Anonymous) -> Typed:
    value = typed_argument(e, node, 0)
    if value.kind == kinds.STRING:
        value = convert(e, node, value, kinds.BINARY, is_try=False)
    name = node.name.lower()
    return Typed(f"spark_{name}({value.sql})", kinds.BOOL if name == "is_valid_utf8" else kinds.STRING)


_KEPT_IN_URLS = string.ascii_letters + string.digits + ".-*_"
_IN_URLS = {n: chr(n) if chr(n) in _KEPT_IN_URLS else "+" if n == ord(" ") else f"%{n:02X}" for n in range(256)}


@row_function("spark_url_encode", ["VARCHAR"], "VARCHAR")
def _url_encoded(text: str) -> str:
    return text.encode().decode("latin-1").translate(_IN_URLS)


def _unquoted(text: str) -> str:
    from urllib.parse import unquote_plus

    if re.search("%(?![0-9A-Fa-f]{2})", text):
        raise ValueError(f"url_decode of {text!r}: a % without two hexadecimal digits behind it")
    return unquote_plus(text, errors="replace")


def _unquoted_or_null(text: str) -> str | None:
    try:
        return _unquoted(text)
    except ValueError:
        return None


row_function("spark_url_decode", ["VARCHAR"], "VARCHAR")(_unquoted)
row_function("spark_try_url_decode", ["VARCHAR"], "VARCHAR")(_unquoted_or_null)


@_strings(
    "url_encode url_decode try_url_decode",
    1,
    1,
    "url_encode(s), url_decode(s), try_url_decode(s)",
    "SELECT url_encode('a b') AS a",
)
def _url_text(e: Expressions, node: exp.Anonymous) -> Typed:
    return Typed(f"spark_{node.name.lower()}({argument(e, node, 0).sql})", kinds.STRING)
