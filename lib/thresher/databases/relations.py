"""What is read of a database: a table's name, or the text of a query."""

import re

from thresher.errors import UsageError

_QUERY = re.compile(r"(\s|\(|--[^\n]*\n|/\*.*?\*/)*(select|with)\b(?!\s*$)", re.IGNORECASE | re.DOTALL)
_PART = r"""(?:"(?:[^"]|"")+"|`(?:[^`]|``)+`|\[[^\]]+\]|[^."`\[\]]+)"""
_NAME = re.compile(rf"\s*(?:({_PART})\.)?({_PART})\s*")


def is_query(relation: str) -> bool:
    """Whether a text is a query; else it names a table.

    >>> is_query("select 1"), is_query("with a as (select 1) select * from a"), is_query("sales.selected")
    (True, True, False)
    """
    return _QUERY.match(relation) is not None


def name_parts(name: str) -> list[str]:
    """A table's name without quotes, part by part.

    >>> name_parts('sales.orders'), name_parts('"odd.schema"."my ""table"')
    (['sales', 'orders'], ['odd.schema', 'my "table'])
    """
    found = _NAME.fullmatch(name)
    if not found:
        raise UsageError(
            f"{name!r} names no table; expected table or schema.table, with quotes around a name with dots"
        )
    return [_unquoted(part) for part in found.groups() if part is not None]


def _unquoted(part: str) -> str:
    if part[0] in '"`':
        return part[1:-1].replace(part[0] * 2, part[0])
    return part[1:-1] if part[0] == "[" else part.strip()


def statement(query: str) -> str:
    """A query as it can stand in brackets.

    >>> statement("select 1; ")
    'select 1\\n'
    """
    # The line's end ends a comment behind the query.
    return query.strip().rstrip(";") + "\n"
