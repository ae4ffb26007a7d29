"""to_char and to_number: numbers by a format such as '$99,999.99', as Spark reads and writes it."""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache, partial

import pyarrow as pa
from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import FUNCTIONS, function
from thresher.sql.casting.casts import convert
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.texts.row_functions import row_function
from thresher.sql.texts.strings import argument

_strings = partial(function, group="Strings")

_TOKENS = re.compile(r"[09]+|[.D]|[,G]|\$|S|MI|PR")
_ORDER = re.compile(r"(?:MI|S)?\$?[09,G]*(?:[.D][09]*)?\$?(?:MI|S|PR)?")


class BadFormat(ValueError):
    """Spark rejects the format."""


@dataclass(frozen=True)
class Format:
    """A format: its parts in order, and how many digits it has on each side of the point."""

    tokens: tuple[str, ...]
    before: int
    after: int


@lru_cache(maxsize=256)
def read_format(text: str) -> Format:
    """The format of a text; raises BadFormat for what Spark rejects."""
    upper = text.upper()
    tokens = _TOKENS.findall(upper)
    if "".join(tokens) != upper or not _ORDER.fullmatch(upper):
        raise BadFormat(f"the number format {text!r} has a part that is unknown or out of place")
    if any(tokens.count(sign) > 1 for sign in ("$", "S", "MI", "PR")):
        raise BadFormat(f"the number format {text!r} has a sign twice")
    point = next((n for n, token in enumerate(tokens) if token in ".D"), len(tokens))
    before, after = ("".join(part) for part in (tokens[:point], tokens[point:]))
    digits = [len(re.sub("[^09]", "", part)) for part in (before, after)]
    if not sum(digits):
        raise BadFormat(f"the number format {text!r} has no digit")
    whole = re.sub("[^09,G]", "", before).replace("G", ",")
    if "" in whole.split(",") and whole:
        raise BadFormat(f"the number format {text!r} has a separator without digits beside it")
    if "$" in tokens and re.search("[09].*[$]", upper):
        raise BadFormat(f"the number format {text!r} has $ behind the digits")
    if tokens[-1] == "PR":
        tokens = ["<", *tokens[:-1], ">"]
    plain = tuple(token.replace("D", ".").replace("G", ",") for token in tokens)
    return Format(plain, *digits)


def written(number: Decimal, form: Format) -> str:
    """The number in the format; # for each digit where it has no room."""
    plain = f"{number.copy_abs():f}"
    before, _, after = plain.partition(".")
    before, after = before.lstrip("0"), after.rstrip("0")
    if len(before) > form.before or len(after) > form.after:
        before, after = "#" * form.before, "#" * form.after
    digits = iter(before.rjust(form.before) + after.ljust(form.after, "0"))
    line: list[str] = []
    for token in form.tokens:
        _write(token, line, digits, number)
    _without_lone_point(line)
    return "".join(line)


def _write(token: str, line: list[str], digits: object, number: Decimal) -> None:
    is_negative = number < 0
    if token[0] in "09":
        for _ in token:
            digit = next(digits)  # type: ignore[call-overload]
            if digit == " " and token[0] == "0":
                digit = "0"
            _put(line, digit)
    elif token == ",":
        _put(line, "," if line and line[-1].isdigit() else " ")
    elif token == ".":
        if line and line[-1] == " ":
            line[-1] = "0"
        line.append(".")
    elif token == "$":
        line.append("$")
    elif token == "<":
        line += ["<"] * is_negative
    elif token == ">":
        _without_lone_point(line)
        line += [">"] if is_negative else [" ", " "]
    else:
        _without_lone_point(line)
        sign = "-" if is_negative else "+" if token == "S" else ""
        _sign(line, sign or " ")


def _put(line: list[str], letter: str) -> None:
    """A space goes before a sign or an opening bracket, so that it stays beside the digits."""
    place = len(line) - 1 if letter == " " and line and line[-1] in "+-<" else len(line)
    line.insert(place, letter)


def _sign(line: list[str], sign: str) -> None:
    place = len(line)
    while place and line[place - 1] == " ":
        place -= 1
    line.insert(len(line) if sign == " " else place, sign)


def _without_lone_point(line: list[str]) -> None:
    if line and line[-1] == ".":
        line[-1] = " "


def parsed(text: str, form: Format) -> Decimal | None:
    """The number that a text has by the format; None where it does not match."""
    reader = _Reader(text)
    for token in _groups(form.tokens):
        if not reader.read(token):
            return None
    if reader.rest().strip() or not (reader.before or reader.after):
        return None
    number = Decimal(f"{reader.before or '0'}.{reader.after or '0'}")
    return number.copy_negate() if reader.is_negative else number


def _groups(tokens: tuple[str, ...]) -> list[str]:
    """The tokens, the digits before the point and those behind it as one each."""
    joined = re.sub(r"[09](?:[09,]*[09])?", lambda found: f" {found[0]} ", " ".join(tokens).replace(" , ", ","))
    return joined.split()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.before = ""
        self.after = ""
        self.has_point = False
        self.is_negative = False

    def rest(self) -> str:
        return self.text[self.place :]

    def skip(self, sign: str) -> bool:
        if self.rest().startswith(sign):
            self.place += 1
            return True
        return False

    def read(self, token: str) -> bool:
        self.place += len(self.rest()) - len(self.rest().lstrip())
        if token[0] in "09":
            return self.digits(token.split(","))
        if token == ".":
            self.has_point = self.skip(".")
        elif token == "$":
            return self.skip("$")
        elif token == "<":
            self.is_negative = self.skip("<")
        elif token == ">":
            return self.skip(">") == self.is_negative
        elif token == "S" and self.skip("+"):
            pass
        elif self.skip("-"):
            self.is_negative = True
        return True

    def digits(self, expected: list[str]) -> bool:
        found = re.compile(r"[\s,\d]*").match(self.text, self.place)
        assert found is not None
        self.place = found.end()
        plain = "".join(str(unicodedata.decimal(letter)) for letter in found[0] if letter.isdecimal())
        if self.has_point or "." in expected:
            self.after += plain
            return "," not in found[0] and len(plain) <= len(expected[0])
        groups = [sum(letter.isdecimal() for letter in part) for part in found[0].split(",")]
        self.before += plain
        if len(groups) > len(expected):
            return False
        groups = [0] * (len(expected) - len(groups)) + groups
        return all(
            size == len(form) if form[0] == "0" else size <= len(form)
            for size, form in zip(groups, expected, strict=True)
        )


@row_function("spark_to_char", ["VARCHAR", "VARCHAR"], "VARCHAR")
def _to_char_of(number: str, form: str) -> str:
    return written(Decimal(number), read_format(form))


@row_function("spark_to_number", ["VARCHAR", "VARCHAR", "BOOLEAN"], "VARCHAR")
def _to_number_of(text: str, form: str, is_try: bool) -> str | None:
    number = parsed(text, read_format(form))
    if number is None and not is_try:
        raise ValueError(f"to_number of {text!r}, which is not of the form {form!r}")
    return None if number is None else f"{number:f}"


def _format(e: Expressions, node: exp.Anonymous) -> tuple[str, Format] | None:
    form = e.expr(node.expressions[1])
    if form.kind == kinds.VOID:
        return None
    if not isinstance(form.literal, str):
        e.wrong(node, f"the format of {node.name} is not a literal.")
    try:
        return form.literal, read_format(form.literal)
    except BadFormat as error:
        e.wrong(node, f"{error}.")


@_strings(
    "to_char to_varchar",
    2,
    2,
    "to_char(number, format), to_varchar(…)",
    "SELECT to_char(-1234.5, '9,999.99S') AS a",
    note="Format: 0 9 , . $ S MI PR. Of a date or timestamp: date_format; of a binary: 'utf-8', 'hex', 'base64'.",
)
def _to_char(e: Expressions, node: exp.Anonymous) -> Typed:
    value = e.expr(node.expressions[0])
    if pa.types.is_temporal(value.kind):
        return FUNCTIONS["date_format"].rule(e, node)
    if value.kind == kinds.BINARY:
        return _bytes_text(e, node, value)
    if value.kind == kinds.VOID:
        return Typed("NULL::VARCHAR", kinds.STRING)
    if not kinds.is_number(value.kind) and value.kind != kinds.STRING:
        e.wrong(node, f"the argument of {node.name} is {kinds.in_spark(value.kind)}; expected a number.")
    found = _format(e, node)
    if found is None:
        return Typed("NULL::VARCHAR", kinds.STRING)
    if not kinds.is_exact(value.kind):
        kind = {kinds.FLOAT: pa.decimal128(14, 7), kinds.DOUBLE: pa.decimal128(30, 15)}.get(value.kind)
        value = convert(e, node, value, kind or pa.decimal128(38, 18), is_try=False)
    text = convert(e, node, value, kinds.STRING, is_try=False).sql
    return Typed(f"spark_to_char({text}, {kinds.text_literal(found[0])})", kinds.STRING)


def _bytes_text(e: Expressions, node: exp.Anonymous, value: Typed) -> Typed:
    form = e.expr(node.expressions[1]).literal
    word = form.lower() if isinstance(form, str) else ""
    calls = {"utf-8": "spark_decode({}, 'UTF-8')", "hex": "hex({})", "base64": "spark_base64({})"}
    if word not in calls:
        e.wrong(node, f"the format of a binary is {form!r}; expected 'utf-8', 'hex' or 'base64'.")
    return Typed(calls[word].format(value.sql), kinds.STRING)


@_strings(
    "to_number try_to_number",
    2,
    2,
    "to_number(s, format), try_to_number(s, format)",
    "SELECT to_number('$1,234.5', '$9,999.9') AS a",
    note="Gives a decimal of the format's digits.",
)
def _to_number(e: Expressions, node: exp.Anonymous) -> Typed:
    text = argument(e, node, 0).sql
    found = _format(e, node)
    if found is None:
        return Typed("NULL::DECIMAL(10,0)", pa.decimal128(10, 0))
    words, form = found
    if form.before + form.after > kinds.MAX_PRECISION:
        e.wrong(node, f"the format {words!r} has more than 38 digits.")
    kind = pa.decimal128(form.before + form.after, form.after)
    is_try = str(node.name.lower() == "try_to_number").lower()
    sql = f"CAST(spark_to_number({text}, {kinds.text_literal(words)}, {is_try}) AS {kinds.in_duckdb(kind)})"
    return Typed(sql, kind)
