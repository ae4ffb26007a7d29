"""The names of the variables of lambdas in DuckDB's text."""

import re

FRESH = "fresh_variable_"  # with a number: what no other lambda of the query has
_PARTS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\blambda (\w+(?:, \w+)*):|\w+""")
_WORDS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\w+""")
_VARIABLE = re.compile(rf"{FRESH}\d+|x\d+|v[0-9a-f]{{8}}")


def closed(sql: str) -> str:
    """A text with the variables of its lambdas named by their order, unless it stands inside a lambda itself.

    So the same expression is the same text wherever it is written: by that DuckDB knows the keys of GROUP BY.

    >>> closed("list_transform(t1.a, lambda fresh_variable_7: fresh_variable_7 + fresh_variable_6)")
    'list_transform(t1.a, lambda fresh_variable_7: fresh_variable_7 + fresh_variable_6)'
    >>> closed("list_transform(t1.a, lambda fresh_variable_7: fresh_variable_7 + 1)")
    'list_transform(t1.a, lambda x1: x1 + 1)'
    """
    if FRESH not in sql:
        return sql
    found = list(_PARTS.finditer(sql))
    bound = [name for part in found if part[1] for name in part[1].split(", ")]
    names = dict.fromkeys(name for name in bound if _VARIABLE.fullmatch(name))
    if any(part[0].startswith(FRESH) and part[0] not in names for part in found):
        return sql
    new = {name: f"x{n}" for n, name in enumerate(names, 1)}
    return _WORDS.sub(lambda word: new.get(word[0], word[0]), sql)
