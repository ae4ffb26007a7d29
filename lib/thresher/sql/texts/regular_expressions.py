"""RLIKE, split and the regexp functions."""

import re
from collections.abc import Callable
from functools import lru_cache, partial, wraps
from typing import Any

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import construct, function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.numbers.operators import operands
from thresher.sql.texts import java_patterns
from thresher.sql.texts.java_patterns import BadPattern, Pattern, Unproven
from thresher.sql.texts.row_functions import row_function
from thresher.sql.texts.strings import argument, whole

_strings = partial(function, group="Regular expressions")

Template = tuple[str | int, ...]


def _over_rows(name: str, arguments: str, result: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A function in Python for the patterns and texts that are not for RE2."""

    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(run)
        def checked(text: str, pattern: str, *rest: Any) -> Any:
            try:
                return run(text, java_patterns.translate(pattern), *rest)
            except Unproven as error:
                raise ValueError(f"not proven equal to Spark: {error}") from None

        return row_function(name, arguments.split(), result)(checked)

    return register


@_over_rows("spark_rlike", "VARCHAR VARCHAR", "BOOLEAN")
def _is_found(text: str, pattern: Pattern) -> bool:
    return next(pattern.finds(text), None) is not None


def _group(match: re.Match[str], index: int, pattern: Pattern) -> str:
    if not 0 <= index <= pattern.groups:
        raise ValueError(f"group {index} of a regular expression with {pattern.groups}")
    if index and pattern.has_odd_groups:
        raise Unproven("the groups of this regular expression, of which one is repeated")
    return match[index] or ""


@_over_rows("spark_regexp_extract", "VARCHAR VARCHAR INTEGER", "VARCHAR")
def _extracted(text: str, pattern: Pattern, index: int) -> str:
    match = next(pattern.finds(text), None)
    return "" if match is None else _group(match, index, pattern)


@_over_rows("spark_regexp_extract_all", "VARCHAR VARCHAR INTEGER", "VARCHAR[]")
def _all_extracted(text: str, pattern: Pattern, index: int) -> list[str]:
    return [_group(match, index, pattern) for match in pattern.finds(text)]


@_over_rows("spark_regexp_count", "VARCHAR VARCHAR", "INTEGER")
def _counted(text: str, pattern: Pattern) -> int:
    return sum(1 for _ in pattern.finds(text))


@_over_rows("spark_regexp_instr", "VARCHAR VARCHAR INTEGER", "INTEGER")
def _placed(text: str, pattern: Pattern, _index: int) -> int:
    match = next(pattern.finds(text), None)
    return 0 if match is None else len(text[: match.start()].encode("utf-16-le")) // 2 + 1


@_over_rows("spark_regexp_replace", "VARCHAR VARCHAR VARCHAR INTEGER", "VARCHAR")
def _replaced(text: str, pattern: Pattern, replacement: str, position: int) -> str:
    units = text.encode("utf-16-le")  # in which Java counts
    start = 2 * (position - 1)
    if start and start >= len(units):
        return text
    try:
        parts, text = [units[:start].decode("utf-16-le")], units[start:].decode("utf-16-le")
    except UnicodeDecodeError:
        raise Unproven(f"the position {position} within a character of {text!r}") from None
    place = 0  # anchors and look-behind see nothing before the position
    for match in pattern.finds(text):
        words = _template(replacement, pattern)
        parts.append(text[place : match.start()])
        parts += [word if isinstance(word, str) else _group(match, word, pattern) for word in words]
        place = match.end()
    return "".join((*parts, text[place:]))


def _template(replacement: str, pattern: Pattern) -> Template:
    return _template_of(replacement, pattern.groups, tuple(pattern.names.items()))


@lru_cache(maxsize=512)
def _template_of(replacement: str, groups: int, names: tuple[tuple[str, int], ...]) -> Template:
    """Java's replacement text: pieces of text and numbers of groups. Raises ValueError for what Java rejects."""
    words: list[str | int] = []
    place = 0
    while place < len(replacement):
        sign, rest = replacement[place], replacement[place + 1 :]
        if sign == "\\" and rest:
            words.append(rest[0])
            place += 2
        elif sign == "$" and (found := re.match(r"\{([A-Za-z][A-Za-z0-9]*)\}", rest)) and found[1] in dict(names):
            words.append(dict(names)[found[1]])
            place += 1 + found.end()
        elif sign == "$" and (found := re.match("[0-9]+", rest)):
            size = max((n for n in range(1, found.end() + 1) if int(rest[:n]) <= groups), default=0)
            if int(rest[0]) > groups:
                raise ValueError(f"the replacement {replacement!r} has group {rest[0]} of {groups}")
            size = next((n for n in range(1, size) if int(rest[: n + 1]) > groups), size)
            words.append(int(rest[:size]))
            place += 1 + size
        elif sign in "\\$":
            raise ValueError(f"the replacement {replacement!r} has a lone {sign!r}")
        else:
            words.append(sign)
            place += 1
    return tuple(words)


@row_function("spark_split", ["VARCHAR", "VARCHAR", "INTEGER"], "VARCHAR[]")
def _split_of(text: str, pattern: str, limit: int) -> list[str]:
    if not pattern and text:
        size = len(text) if limit <= 0 or limit > len(text) else limit
        return [*text[: size - 1], text[size - 1 :]]
    try:
        return _split_by(text, java_patterns.translate(pattern), limit)
    except Unproven as error:
        raise ValueError(f"not proven equal to Spark: {error}") from None


def _split_by(text: str, pattern: Pattern, limit: int) -> list[str]:
    parts: list[str] = []
    place = 0
    for match in pattern.finds(text):
        if 0 < limit <= len(parts) + 1:
            break
        if match.end() == 0:  # nothing found before the first character
            continue
        parts.append(text[place : match.start()])
        place = match.end()
    return [*parts, text[place:]]


def _pattern(e: Expressions, node: exp.Expr, value: Typed) -> Pattern | None:
    """A literal pattern; None for one that is known row by row only."""
    if not isinstance(value.literal, str):
        return None
    try:
        return java_patterns.translate(value.literal)
    except BadPattern as error:
        e.wrong(node, f"{error}: {value.literal!r}.")
    except Unproven as error:
        e.refuse(node, str(error))


def _fast_or_rows(pattern: Pattern | None, text: str, fast: str, rows: str) -> str:
    """RE2 for the texts where it does the same, Python for others; `fast` is empty if RE2 will not do."""
    if pattern is None or pattern.re2 is None or not fast:
        return rows
    if not pattern.doubtful:
        return fast
    return f"CASE WHEN regexp_matches({text}, {kinds.text_literal(pattern.doubtful)}) THEN {rows} ELSE {fast} END"


def _re2(pattern: Pattern | None) -> str:
    return kinds.text_literal(pattern.re2) if pattern is not None and pattern.re2 is not None else ""


def _has_steady_matches(pattern: Pattern | None) -> bool:
    return pattern is not None and pattern.re2 is not None and not pattern.may_be_empty


@construct(
    exp.RegexpLike,
    parts="this expression",
    group="Regular expressions",
    signature="a [NOT] RLIKE pattern, REGEXP",
    note="Java's regular expressions. Not: (?x), (?u), \\G, \\X, \\N, scripts and blocks in \\p{…}, look-behind of "
    "unlimited width.",
    example="SELECT 'a1' RLIKE '[0-9]$' AS a",
)
def _rlike(e: Expressions, node: exp.RegexpLike) -> Typed:
    if isinstance(node.expression, exp.Anonymous) and node.expression.name.upper() in ("ALL", "ANY", "SOME"):
        e.refuse(node, f"RLIKE {node.expression.name.upper()}")
    left, right = operands(e, node)
    text, pattern = (e.coerce(node, side, kinds.STRING, "an operand of RLIKE") for side in (left, right))
    return _liked(e, node, text, pattern)


@_strings(
    "regexp_like rlike regexp", 2, 2, "regexp_like(s, pattern), rlike(…), regexp(…)", "SELECT rlike('ab', 'b') AS a"
)
def _rlike_call(e: Expressions, node: exp.Anonymous) -> Typed:
    return _liked(e, node, argument(e, node, 0), argument(e, node, 1))


def _liked(e: Expressions, node: exp.Expr, text: Typed, words: Typed) -> Typed:
    pattern = _pattern(e, node, words)
    fast = f"regexp_matches({text.sql}, {_re2(pattern)})"
    if pattern is not None and pattern.plain is not None:
        fast = f"contains({text.sql}, {kinds.text_literal(pattern.plain)})"
    rows = f"spark_rlike({text.sql}, {words.sql})"
    return Typed(_fast_or_rows(pattern, text.sql, fast, rows), kinds.BOOL, is_window=text.is_window)


@_strings(
    "regexp_extract regexp_extract_all",
    2,
    3,
    "regexp_extract(s, pattern [, group]), regexp_extract_all(s, pattern [, group])",
    "SELECT regexp_extract('a1b2', '([a-z])([0-9])', 2) AS a",
    note="Group 1 unless another is named; 0 is the whole match.",
)
def _extract(e: Expressions, node: exp.Anonymous) -> Typed:
    name, text, words = node.name.lower(), argument(e, node, 0), argument(e, node, 1)
    pattern, is_all = _pattern(e, node, words), name == "regexp_extract_all"
    group = e.expr(node.expressions[2]) if len(node.expressions) > 2 else Typed("1", kinds.INT, literal=1)
    index = e.coerce(node, group, kinds.INT, f"the group of {name}").sql
    most = 0 if pattern is None or pattern.has_odd_groups else min(pattern.groups, 9)
    fast = ""
    if isinstance(group.literal, int) and 0 <= group.literal <= most and (not is_all or _has_steady_matches(pattern)):
        fast = f"{name}({text.sql}, {_re2(pattern)}, {group.literal})"
        if is_all and group.literal:
            fast = f"list_transform({fast}, lambda x: coalesce(x, ''))"
    kind = kinds.array_of(kinds.STRING) if is_all else kinds.STRING
    rows = f"spark_{name}({text.sql}, {words.sql}, {index})"
    return Typed(_fast_or_rows(pattern, text.sql, fast, rows), kind)


@_strings("regexp_count", 2, 2, "regexp_count(s, pattern) → int", "SELECT regexp_count('a1b2', '[0-9]') AS a")
def _count(e: Expressions, node: exp.Anonymous) -> Typed:
    text, words = argument(e, node, 0), argument(e, node, 1)
    pattern = _pattern(e, node, words)
    fast = f"CAST(len(regexp_extract_all({text.sql}, {_re2(pattern)})) AS INTEGER)"
    rows = f"spark_regexp_count({text.sql}, {words.sql})"
    return Typed(_fast_or_rows(pattern, text.sql, fast if _has_steady_matches(pattern) else "", rows), kinds.INT)


@_strings(
    "regexp_instr",
    2,
    3,
    "regexp_instr(s, pattern) → int",
    "SELECT regexp_instr('ab', 'b') AS a",
    note="Where the first match starts, from 1; 0 without one. Characters beyond the BMP count twice.",
)
def _instr(e: Expressions, node: exp.Anonymous) -> Typed:
    text, words = argument(e, node, 0), argument(e, node, 1)
    _pattern(e, node, words)
    index = whole(e, node.expressions[2], "the group of regexp_instr") if len(node.expressions) > 2 else "0"
    return Typed(f"spark_regexp_instr({text.sql}, {words.sql}, {index})", kinds.INT)


@_strings(
    "regexp_substr",
    2,
    2,
    "regexp_substr(s, pattern)",
    "SELECT regexp_substr('a12', '[0-9]+') AS a",
    note="NULL where nothing, or an empty text, is found.",
)
def _substr(e: Expressions, node: exp.Anonymous) -> Typed:
    text, words = argument(e, node, 0), argument(e, node, 1)
    pattern = _pattern(e, node, words)
    fast = f"nullif(regexp_extract({text.sql}, {_re2(pattern)}), '')"
    rows = f"nullif(spark_regexp_extract({text.sql}, {words.sql}, 0), '')"
    return Typed(_fast_or_rows(pattern, text.sql, fast, rows), kinds.STRING)


@_strings(
    "regexp_replace",
    3,
    4,
    "regexp_replace(s, pattern, replacement [, position])",
    "SELECT regexp_replace('a1', '([a-z])([0-9])', '$2$1') AS a",
    note="All matches; $1 is a group, \\$ a dollar sign. The position is a literal.",
)
def _regexp_replace(e: Expressions, node: exp.Anonymous) -> Typed:
    text, words, new = (argument(e, node, position) for position in range(3))
    pattern = _pattern(e, node, words)
    start = e.expr(node.expressions[3]) if len(node.expressions) > 3 else Typed("1", kinds.INT, literal=1)
    if start.literal is None and start.kind != kinds.VOID:
        e.refuse(node, "regexp_replace from a position that is not a literal")
    if isinstance(start.literal, int) and start.literal < 1:
        e.wrong(node, f"the position of regexp_replace is {start.literal}; expected 1 or more.")
    fast = ""
    if start.literal == 1 and _has_steady_matches(pattern) and isinstance(new.literal, str):
        assert pattern is not None
        fast = _replacement(pattern, text.sql, new.literal)
    place = e.coerce(node, start, kinds.INT, "the position of regexp_replace").sql
    rows = f"spark_regexp_replace({text.sql}, {words.sql}, {new.sql}, {place})"
    return Typed(_fast_or_rows(pattern, text.sql, fast, rows), kinds.STRING)


def _replacement(pattern: Pattern, text: str, replacement: str) -> str:
    """DuckDB's call, or nothing where Java would fail or a group has two digits."""
    try:
        words = _template(replacement, pattern)
    except ValueError:
        return ""
    most = max((word for word in words if isinstance(word, int)), default=0)
    if most > 9 or (most and pattern.has_odd_groups):
        return ""
    if pattern.plain is not None and all(isinstance(word, str) for word in words):
        new = kinds.text_literal("".join(map(str, words)))
        return f"replace({text}, {kinds.text_literal(pattern.plain)}, {new})"
    new = "".join(f"\\{word}" if isinstance(word, int) else word.replace("\\", "\\\\") for word in words)
    return f"regexp_replace({text}, {_re2(pattern)}, {kinds.text_literal(new)}, 'g')"


@_strings(
    "split",
    2,
    3,
    "split(s, pattern [, limit])",
    "SELECT split('a|b', '\\\\|') AS a",
    note="Empty texts at the end stay. With a limit above 0 at most so many parts.",
)
def _split(e: Expressions, node: exp.Anonymous) -> Typed:
    text, words = argument(e, node, 0), argument(e, node, 1)
    pattern = _pattern(e, node, words)
    limit = whole(e, node.expressions[2], "the limit of split") if len(node.expressions) > 2 else "-1"
    fast = ""
    if pattern is not None and len(node.expressions) == 2:
        if pattern.plain:
            fast = f"string_split({text.sql}, {kinds.text_literal(pattern.plain)})"
        elif _has_steady_matches(pattern) and not pattern.has_place:
            fast = f"string_split_regex({text.sql}, {_re2(pattern)})"
    rows = f"spark_split({text.sql}, {words.sql}, {limit})"
    return Typed(_fast_or_rows(pattern, text.sql, fast, rows), kinds.array_of(kinds.STRING))
