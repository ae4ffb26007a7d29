"""How Spark words a function call in the name of a column without an alias: Spark's spelling, and what it adds."""

from collections.abc import Sequence

# Functions that Spark names otherwise than they are written.
_RENAMED = {
    **{name: name.upper() for name in "acos asin atan cbrt ceil cos cosh degrees exp expm1 floor log10 log1p".split()},
    **{name: name.upper() for name in "log2 pi radians sin sinh sqrt tan tanh e regexp_like regexp rlike".split()},
    **{name: name.upper() for name in "acosh asinh atan2 atanh cot csc hypot log power sec signum".split()},
    **{name: name.upper() for name in "rank dense_rank percent_rank".split()},
    "current_database": "current_schema",
    "array_agg": "collect_list",
    "dateadd": "date_add",
}
# What Spark shows for arguments that were left out: by function and the number of those written.
_DEFAULTS = {
    ("regexp_replace", 3): "1",
    ("regexp_extract", 2): "1",
    ("regexp_extract_all", 2): "1",
    ("replace", 2): "",
    ("split", 2): "-1",
    ("round", 1): "0",
    ("bround", 1): "0",
    ("lpad", 2): " ",
    ("rpad", 2): " ",
    ("locate", 2): "1",
    ("months_between", 2): "true",
    ("unix_timestamp", 1): "yyyy-MM-dd HH:mm:ss",
    ("to_unix_timestamp", 1): "yyyy-MM-dd HH:mm:ss",
    ("from_unixtime", 1): "yyyy-MM-dd HH:mm:ss",
    ("regexp_instr", 2): "0",
    ("sort_array", 1): "true",
    ("str_to_map", 1): ",, :",
    ("str_to_map", 2): ":",
    ("mask", 1): "X, x, n, NULL",
    ("mask", 2): "x, n, NULL",
    ("mask", 3): "n, NULL",
    ("mask", 4): "NULL",
    ("percentile", 2): "1",
    ("percentile_approx", 2): "10000",
    ("approx_percentile", 2): "10000",
    ("listagg", 1): "NULL",
    ("string_agg", 1): "NULL",
    ("lag", 1): "1, NULL",
    ("lag", 2): "NULL",
    ("lead", 1): "1, NULL",
    ("lead", 2): "NULL",
    ("sentences", 1): ", ",
    ("sentences", 2): "",
    ("aggregate", 3): "lambdafunction(namedlambdavariable(), namedlambdavariable())",
    ("reduce", 3): "lambdafunction(namedlambdavariable(), namedlambdavariable())",
}
# Functions of which only so many arguments are in the name.
_SHOWN_ARGUMENTS = {
    **{name: 1 for name in ("from_xml", "to_xml", "from_json", "to_json", "from_csv", "to_csv")},
    **{name: 1 for name in ("schema_of_json", "schema_of_xml", "schema_of_csv")},
    **{name: 1 for name in ("first", "first_value", "last", "last_value", "any_value", "approx_count_distinct")},
}
# Names of types: CAST is left out.
_AS_CASTS = "int bigint smallint tinyint string float double decimal boolean binary date timestamp".split()
# Functions that Spark shows as an expression: by name and number of arguments.
_FORMS = {
    **{(sign, 2): f"({{0}} {sign} {{1}})" for sign in ("&", "|", "^", "<<", ">>", ">>>")},
    ("div", 2): "({0} div {1})",
    ("positive", 1): "(+ {0})",
    ("log", 1): "LOG(E(), {0})",
    ("ceil", 2): "ceil({0}, {1})",
    ("floor", 2): "floor({0}, {1})",
    ("trim", 2): "TRIM(BOTH {0} FROM {1})",
    ("ltrim", 2): "TRIM(LEADING {0} FROM {1})",
    ("rtrim", 2): "TRIM(TRAILING {0} FROM {1})",
    ("if", 3): "(IF({0}, {1}, {2}))",
    ("isnull", 1): "({0} IS NULL)",
    ("isnotnull", 1): "({0} IS NOT NULL)",
    ("like", 2): "{0} LIKE {1}",
    ("like", 3): "{0} LIKE {1} ESCAPE '{2}'",
    ("raise_error", 1): "raise_error(USER_RAISED_EXCEPTION, map(errorMessage, {0}))",
    ("assert_true", 1): "assert_true({0}, '{0}' is not true!)",
    **{(name, 3): "timestampadd({0}, {1}, {2})" for name in ("dateadd", "date_add")},
    **{(name, 3): "timestampdiff({0}, {1}, {2})" for name in ("datediff", "date_diff")},
    **{(name, 1): "{0}" for name in _AS_CASTS},
}
_UNKNOWN = {("raise_error", 2), ("array_sort", 1)}
_NEVER_KNOWN = ("vector_norm", "window_time", "random")


def called(name: str, arguments: Sequence[str]) -> str | None:
    """The wording of a call, of the name in small letters and the wording of its arguments; None where not known.

    >>> called("lpad", ["a", "3"]), called("ltrim", ["0", "a"]), called("sqrt", ["2"])
    ('lpad(a, 3,  )', 'TRIM(LEADING 0 FROM a)', 'SQRT(2)')
    """
    key = (name, len(arguments))
    if name in _NEVER_KNOWN or key in _UNKNOWN:
        return None
    if form := _FORMS.get(key):
        return form.format(*arguments)
    shown = [*arguments[: _SHOWN_ARGUMENTS.get(name, len(arguments))]]
    if key in _DEFAULTS:
        shown.append(_DEFAULTS[key])
    return f"{_RENAMED.get(name, name)}({', '.join(shown)})"
