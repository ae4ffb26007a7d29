"""The parts of a URL, as java.net.URI finds them."""

import re
import unicodedata
from collections.abc import Callable
from functools import partial

from sqlglot import exp

from thresher.sql import kinds
from thresher.sql.allowed import function
from thresher.sql.expressions import Expressions, Typed
from thresher.sql.texts.row_functions import row_function
from thresher.sql.texts.strings import argument

_strings = partial(function, group="Strings")

_URL = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?"
    r"(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
# What java.net.URI takes besides %xx: these characters, and others beyond ASCII that are no space or control character.
_PATH = re.compile(r"(?:[A-Za-z0-9_\-!.~'()*;/:@&=+$,]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r"(?:[A-Za-z0-9_\-!.~'()*;/?:@&=+$,\[\]]|%[0-9A-Fa-f]{2})*")
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9_\-!.~'()*;:@&=+$,\[\]]|%[0-9A-Fa-f]{2})+")
_HOST = (
    r"(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?"
    r"|(?:[0-9]{1,3}\.){3}[0-9]{1,3}|\[[0-9A-Fa-f:.]+\])"
)
_SERVER = re.compile(
    rf"(?:(?P<user>(?:[A-Za-z0-9_\-!.~'()*;:&=+$,]|%[0-9A-Fa-f]{{2}})*)@)?(?P<host>{_HOST})(?::[0-9]{{0,9}})?"
)
_NUMBERS = re.compile(r"[0-9.]+")
_PARTS = ("HOST", "PATH", "QUERY", "REF", "PROTOCOL", "FILE", "AUTHORITY", "USERINFO")


def _bad(url: str) -> ValueError:
    return ValueError(f"parse_url: {url!r} is no URL")


def _part_of_url(url: str, part: str) -> str | None:
    found = _URL.fullmatch(url)
    assert found is not None
    scheme, authority, path = found["scheme"], found["authority"], found["path"]
    is_opaque = scheme is not None and authority is None and not path.startswith("/")
    _check(url, found, is_opaque)
    if is_opaque and part not in ("REF", "PROTOCOL"):
        return None
    server = _SERVER.fullmatch(authority or "")
    if server and _NUMBERS.fullmatch(server["host"]) and any(int(n) > 255 for n in server["host"].split(".")):
        server = None
    query = f"?{found['query']}" if found["query"] is not None else ""
    values = {
        "HOST": server["host"] if server else None,
        "USERINFO": server["user"] if server else None,
        "PATH": path,
        "QUERY": found["query"],
        "REF": found["fragment"],
        "PROTOCOL": scheme,
        "FILE": path + query,
        "AUTHORITY": authority or None,
    }
    return values.get(part)


def _check(url: str, found: re.Match[str], is_opaque: bool) -> None:
    authority, path = found["authority"], found["path"]
    is_relative = found["scheme"] is None and authority is None
    if is_relative and ":" in path.partition("/")[0]:
        raise _bad(url)
    if is_opaque and not path:
        raise _bad(url)
    if authority == "" and not path:
        raise _bad(url)
    if authority and not _AUTHORITY.fullmatch("".join(map(_plain, authority))):
        raise _bad(url)
    if authority and "[" in authority and not _SERVER.fullmatch(authority):
        raise ValueError(f"not proven equal to Spark: parse_url of {url!r}")
    for text, allowed in (
        (path, _QUERY if is_opaque else _PATH),
        (found["query"], _QUERY),
        (found["fragment"], _QUERY),
    ):
        if text is not None and not allowed.fullmatch("".join(map(_plain, text))):
            raise _bad(url)


def _plain(letter: str) -> str:
    """A letter for what URI takes beyond ASCII: all but spaces and control characters."""
    return "a" if letter > "\x7f" and unicodedata.category(letter)[0] not in "ZC" else letter


def _value_in_query(url: str, part: str, key: str) -> str | None:
    """The value of a parameter of the query; Spark reads the key as a regular expression."""
    query = _part_of_url(url, "QUERY") if part == "QUERY" else None
    if query is None:
        return None
    if not re.fullmatch(r"[\w.-]*", key):
        raise ValueError(f"not proven equal to Spark: parse_url with the key {key!r}")
    found = re.search(f"(?:&|^){key}=([^&]*)", query)
    return found[1] if found else None


def _or_null(run: Callable[..., str | None]) -> Callable[..., str | None]:
    def attempt(*values: str) -> str | None:
        try:
            return run(*values)
        except ValueError as error:
            if "not proven" in str(error):
                raise
            return None

    return attempt


row_function("spark_parse_url", ["VARCHAR"] * 2, "VARCHAR")(_part_of_url)
row_function("spark_parse_url_key", ["VARCHAR"] * 3, "VARCHAR")(_value_in_query)
row_function("spark_try_parse_url", ["VARCHAR"] * 2, "VARCHAR")(_or_null(_part_of_url))
row_function("spark_try_parse_url_key", ["VARCHAR"] * 3, "VARCHAR")(_or_null(_value_in_query))


@_strings(
    "parse_url try_parse_url",
    2,
    3,
    "parse_url(url, part [, key]), try_parse_url(url, part [, key])",
    "SELECT parse_url('http://h/p?x=1', 'QUERY', 'x') AS a",
    note=f"Part: {', '.join(_PARTS)}; key: a name in the query. URLs in ASCII.",
)
def _parse_url(e: Expressions, node: exp.Anonymous) -> Typed:
    for part in node.expressions:
        found = e.expr(part).kind
        if found not in (kinds.STRING, kinds.VOID):
            e.wrong(part, f"an argument of {node.name} is {kinds.in_spark(found)}; expected text.")
    values = ", ".join(argument(e, node, position).sql for position in range(len(node.expressions)))
    suffix = "_key" if len(node.expressions) == 3 else ""
    return Typed(f"spark_{node.name.lower()}{suffix}({values})", kinds.STRING)
