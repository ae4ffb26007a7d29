"""Queries made at random from a grammar: both engines give the same rows, or both raise, or the embedded one refuses.

The grammar draws what no list of edge values thinks of: functions inside functions, over columns with NULLs. Every run
draws the same queries. Expressions go to Spark many at a time, as columns of one query.
"""

import datetime as dt
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from thresher.engines import Engine, open_engine
from thresher.errors import DataError, NotPortable, SqlError
from thresher.types import TIMESTAMP, ddl

pytestmark = pytest.mark.spark

PER_QUERY = 40  # columns of one query for Spark

SCHEMA = pa.schema(
    [
        ("id", pa.int32()),
        ("g", pa.int32()),
        ("h", pa.string()),
        ("i", pa.int32()),
        ("j", pa.int32()),
        ("b", pa.int64()),
        ("m", pa.decimal128(10, 2)),
        ("q", pa.decimal128(18, 6)),
        ("w", pa.decimal128(38, 10)),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("t", pa.string()),
        ("u", pa.string()),
        ("p", pa.bool_()),
        ("r", pa.bool_()),
        ("d", pa.date32()),
        ("e", pa.date32()),
        ("z", TIMESTAMP),
    ]
)

_TEXTS = [
    "",
    " ",
    "a",
    "b",
    "ab",
    "ABC",
    "a b c",
    "Ünï cödé",
    "é😀",
    "x|y",
    "a_c",
    "  pad ",
    "12",
    "-3.50",
    "2024-02-29",
]
_DAYS = [dt.date(2024, 2, 29), dt.date(2023, 12, 31), dt.date(2024, 1, 31), dt.date(1999, 6, 15), dt.date(1970, 1, 1)]
_TIMES = [
    dt.datetime(2024, 2, 29, 23, 59, 59, 999999, dt.UTC),
    dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
    dt.datetime(2024, 1, 31, 12, 30, 15, 250000, dt.UTC),
    dt.datetime(1969, 12, 31, 23, 59, 58, 1, dt.UTC),
]
# The values of ordinary rows, in which few computations fail, and those at the ends of each type.
ORDINARY: dict[pa.DataType, list[Any]] = {
    pa.int32(): [-7, -2, -1, 0, 1, 2, 3, 10, 31],
    pa.int64(): [-40, -3, 0, 1, 5, 12, 1_000],
    pa.decimal128(10, 2): ["-12.50", "-0.01", "0.00", "0.05", "1.00", "2.55", "99.99"],
    pa.decimal128(18, 6): ["-1.500000", "0.000000", "0.000001", "2.500000", "33.333333"],
    pa.decimal128(38, 10): ["-2.5000000000", "0.0000000000", "0.0000000001", "7.1234567891"],
    pa.float64(): [-2.5, -1.0, 0.0, 0.1, 0.5, 1.0, 1.5, 3.0, 100.25],
    pa.string(): _TEXTS,
    pa.bool_(): [True, False],
    pa.date32(): _DAYS,
    TIMESTAMP: _TIMES,
}
ENDS: dict[pa.DataType, list[Any]] = {
    pa.int32(): [-(2**31), 2**31 - 1],
    pa.int64(): [-(2**63), 2**63 - 1, 2**53 + 1],
    pa.decimal128(10, 2): ["-99999999.99", "99999999.99"],
    pa.decimal128(18, 6): ["-999999999999.999999", "999999999999.999999"],
    pa.decimal128(38, 10): ["-" + "9" * 28 + "." + "9" * 10, "9" * 28 + "." + "9" * 10],
    pa.float64(): [-0.0, 1e-300, 1e300, 1e7, 123456789.125, 9007199254740993.0, float("inf"), float("nan")],
    pa.string(): ["true", "NULL", "\n", "a\\b", "1e2", "0x1F", "ß", "İ", "\u00a0", "9" * 20],
    pa.date32(): [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1582, 10, 4)],
    TIMESTAMP: [
        dt.datetime(1, 1, 1, tzinfo=dt.UTC),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999, dt.UTC),
        dt.datetime(1582, 10, 15, tzinfo=dt.UTC),
    ],
}


def made(seed: int, rows: int, *, ends: bool) -> pa.Table:
    """Rows by chance, each value NULL one time in seven; `id` counts them, `g` and `h` are few."""
    chance = random.Random(seed)

    def values(name: str, kind: pa.DataType) -> list[Any]:
        pool = ["p", "q"] if name == "h" else [1, 2, 3] if name == "g" else ORDINARY[kind]
        if ends and name not in "gh":
            pool = pool + ENDS.get(kind, [])
        drawn = [None if chance.random() < 1 / 7 else chance.choice(pool) for _ in range(rows)]
        return [Decimal(v) if v is not None and pa.types.is_decimal(kind) else v for v in drawn]

    columns = {field.name: values(field.name, field.type) for field in SCHEMA}
    return pa.table(columns | {"id": list(range(rows))}, schema=SCHEMA)


TABLES = {"rows": made(1, 24, ends=False), "others": made(2, 12, ends=False), "ends": made(3, 40, ends=True)}

# What may stand for {kind}, one a line: columns and literals, then what goes on with further kinds; {n} is small.
_LEAVES = {
    "int": "i\nj\nid\n0\n2\n-3\n100",
    "bigint": "b\n5L\n-1L",
    "dec": "m\nq\nw\n1.50\n-0.003\n7BD",
    "double": "x\ny\n0.5D\n1e3",
    "string": "t\nu\nh\n'a'\n''\n'b c'",
    "bool": "p\nr\ntrue",
    "date": "d\ne\ndate'2024-02-29'",
    "time": "z\ntimestamp'2023-03-26 01:59:59.5'",
    "n": "0\n1\n2\n-1\n3\n(i % 5)",
}
_GOES_ON = {
    "int": """
        ({int} + {int})
        ({int} - {int})
        ({int} * {int})
        ({int} % {int})
        (- {int})
        abs({int})
        pmod({int}, {int})
        length({string})
        char_length({string})
        octet_length({string})
        bit_length({string})
        ascii({string})
        instr({string}, {string})
        locate({string}, {string}, {n})
        levenshtein({string}, {string})
        find_in_set({string}, {string})
        position({string} IN {string})
        datediff({date}, {date})
        year({date})
        quarter({date})
        month({time})
        day({date})
        dayofweek({date})
        weekday({date})
        dayofyear({date})
        weekofyear({date})
        extract(week FROM {date})
        hour({time})
        minute({time})
        second({time})
        unix_date({date})
        cast({num} AS int)
        cast({bool} AS int)
        try_cast({string} AS int)
        sign({int}) :: int
        ({int} & {int})
        ({int} | {int})
        ({int} ^ {int})
        (~ {int})
        shiftleft({int}, {n})
        shiftright({int}, {n})
        shiftrightunsigned({int}, {n})
        bit_count({int})
        coalesce({int}, {int})
        nullif({int}, {int})
        greatest({int}, {int}, {int})
        least({int}, {int})
        if({bool}, {int}, {int})
        nvl2({any}, {int}, {int})
        CASE WHEN {bool} THEN {int} ELSE {int} END
        CASE {int} WHEN {int} THEN {int} WHEN {int} THEN {int} END
        hash({any}, {any})
        size(split({string}, ' '))
        size(array({int}, {int}))
        element_at(array({int}, {int}, {int}), 2)
        array({int}, {int})[1]
        array_position(array({int}, {int}), {int}) :: int
        width_bucket({double}, 0, 10, 5) :: int
    """,
    "bigint": """
        ({bigint} + {int})
        ({bigint} * {bigint})
        ({int} div {int})
        ({dec} div {dec})
        ({bigint} % {bigint})
        floor({double})
        ceil({double})
        cast({num} AS bigint)
        try_cast({string} AS bigint)
        unix_seconds({time})
        unix_micros({time})
        unix_timestamp({time})
        try_add({bigint}, {bigint})
        try_multiply({bigint}, {int})
        try_subtract({bigint}, {bigint})
        shiftleft({bigint}, {n})
        xxhash64({any}, {any})
        crc32(cast({string} AS binary))
        coalesce({bigint}, {int})
        if({bool}, {bigint}, {int})
        bit_count({bigint}) :: bigint
        factorial({n})
        cast(conv({string}, 10, 16) AS bigint)
    """,
    "dec": """
        ({dec} + {dec})
        ({dec} - {int})
        ({dec} * {dec})
        ({dec} / {dec})
        ({dec} / {int})
        ({dec} % {dec})
        (- {dec})
        abs({dec})
        round({dec}, 1)
        round({dec})
        bround({dec}, 1)
        round({dec}, -1)
        floor({dec})
        ceil({dec})
        floor({dec}, 1)
        cast({num} AS decimal(12, 3))
        cast({num} AS decimal(38, 18))
        cast({num} AS decimal(5, 0))
        try_cast({string} AS decimal(10, 2))
        try_divide({dec}, {dec})
        coalesce({dec}, {int})
        greatest({dec}, {dec})
        nullif({dec}, {dec})
        pmod({dec}, {dec})
        CASE WHEN {bool} THEN {dec} ELSE {int} END
    """,
    "double": """
        ({double} + {double})
        ({double} - {num})
        ({double} * {double})
        ({double} / {double})
        ({int} / {int})
        ({double} % {double})
        (- {double})
        abs({double})
        sqrt({double})
        cbrt({double})
        exp({double})
        ln({double})
        log10({double})
        log2({double})
        log({double}, {double})
        pow({double}, {n})
        sin({double})
        atan2({double}, {double})
        hypot({double}, {double})
        degrees({double})
        round({double}, 1)
        round({double})
        bround({double}, 1)
        rint({double})
        signum({double})
        cast({num} AS double)
        try_cast({string} AS double)
        try_divide({num}, {double})
        nanvl({double}, {double})
        greatest({double}, {num})
        coalesce({double}, {num})
        cast(cast({double} AS float) AS double)
        months_between({date}, {date})
        months_between({time}, {time})
        pmod({double}, {double})
    """,
    "string": """
        upper({string})
        lower({string})
        initcap({string})
        trim({string})
        ltrim({string})
        rtrim({string})
        trim(BOTH 'a ' FROM {string})
        substring({string}, {n}, {n})
        substring({string}, {n})
        substr({string}, {int})
        left({string}, {n})
        right({string}, {n})
        ({string} || {string})
        concat({string}, {any})
        concat_ws('-', {string}, {string}, {string})
        concat_ws({string}, {any}, {any})
        replace({string}, {string}, {string})
        translate({string}, {string}, {string})
        lpad({string}, {n}, {string})
        rpad({string}, {n}, 'xy')
        repeat({string}, {n})
        reverse({string})
        space({n})
        substring_index({string}, ' ', {n})
        split_part({string}, ' ', 1)
        elt({n}, {string}, {string})
        overlay({string} PLACING {string} FROM 2)
        cast({num} AS string)
        cast({date} AS string)
        cast({time} AS string)
        cast({bool} AS string)
        hex({int})
        hex({string})
        bin({int})
        chr({int})
        md5({string})
        sha2({string}, 256)
        soundex({string})
        base64(cast({string} AS binary))
        date_format({time}, 'yyyy-MM-dd HH:mm:ss.SSS')
        date_format({date}, 'E d MMM yy')
        dayname({date})
        monthname({date})
        format_number({num}, 2)
        printf('%05d|%s', {int}, {string})
        regexp_replace({string}, '[a-c]+', '<$0>')
        regexp_extract({string}, '([a-z])(.)?', 2)
        split({string}, '[ |]')[0]
        array_join(array({string}, {string}), ',')
        array_join(sort_array(array({string}, {string})), '|', '?')
        to_json(named_struct('a', {any}, 'b', {any}))
        get_json_object('{"a": [1, "x"]}', '$.a[1]')
        coalesce({string}, {string})
        nullif({string}, {string})
        greatest({string}, {string})
        nvl({string}, {string})
        CASE WHEN {bool} THEN {string} ELSE {string} END
        decode({int}, 1, {string}, 2, {string}, {string})
        mask({string})
    """,
    "bool": """
        ({num} = {num})
        ({num} <> {num})
        ({num} < {num})
        ({num} >= {num})
        ({num} <=> {num})
        ({string} = {string})
        ({string} < {string})
        ({string} <=> {string})
        ({date} < {date})
        ({date} = {time})
        ({time} >= {time})
        ({string} = {int})
        ({date} > '2024-01-01')
        ({bool} AND {bool})
        ({bool} OR {bool})
        (NOT {bool})
        ({bool} = {bool})
        ({any} IS NULL)
        ({any} IS NOT NULL)
        ({bool} IS TRUE)
        ({bool} IS NOT FALSE)
        ({int} BETWEEN {int} AND {num})
        ({string} BETWEEN {string} AND {string})
        ({int} IN ({int}, {int}, NULL))
        ({string} NOT IN ({string}, 'a'))
        ({dec} IN ({dec}, {int}))
        ({string} LIKE 'a%')
        ({string} LIKE '_b%' ESCAPE '!')
        ({string} RLIKE '^[a-z ]+$')
        ({string} ILIKE '%B%')
        startswith({string}, {string})
        endswith({string}, {string})
        contains({string}, {string})
        isnan({double})
        array_contains(array({int}, {int}), {int})
        exists(array({int}, {int}), v -> v > 1)
        try_cast({string} AS boolean)
        cast({int} AS boolean)
        coalesce({bool}, {bool})
        ({num} IS DISTINCT FROM {num})
    """,
    "date": """
        date_add({date}, {n})
        date_sub({date}, {n})
        ({date} + {n})
        ({date} - {n})
        add_months({date}, {n})
        last_day({date})
        next_day({date}, 'Mon')
        trunc({date}, 'month')
        trunc({date}, 'week')
        ({date} + INTERVAL 1 MONTH)
        ({date} - INTERVAL 30 DAY)
        ({date} + INTERVAL 1 YEAR)
        cast({time} AS date)
        to_date({string}, 'yyyy-MM-dd')
        try_cast({string} AS date)
        make_date(2024, {n}, 1)
        date_from_unix_date({n})
        coalesce({date}, {date})
        greatest({date}, {date})
        if({bool}, {date}, {date})
    """,
    "time": """
        date_trunc('month', {time})
        date_trunc('HOUR', {time})
        date_trunc('week', {date})
        ({time} + INTERVAL 1 MONTH)
        ({time} - INTERVAL 36 HOURS)
        ({time} + make_dt_interval({n}, {n}))
        ({date} + INTERVAL 90 MINUTES)
        timestampadd(DAY, {n}, {time})
        cast({date} AS timestamp)
        to_timestamp({string}, 'yyyy-MM-dd')
        try_cast({string} AS timestamp)
        timestamp_seconds({int})
        timestamp_millis({bigint})
        from_utc_timestamp({time}, 'Europe/Berlin')
        to_utc_timestamp({time}, 'America/New_York')
        coalesce({time}, {time})
        least({time}, {time})
    """,
    # The rest has no leaves of its own.
    "num": "{int}\n{bigint}\n{dec}\n{double}",
    "any": "{num}\n{string}\n{bool}\n{date}\n{time}",
    "column": "{any}\n{any}\n{any}\n{any}\n{any}\n{any}\n{any}\ntypeof({any})",
    "aggregate": """
        {exact}
        {exact}
        {statistic}
    """,
    "exact": """
        count(*)
        count({any})
        count(DISTINCT {any})
        count(DISTINCT {int}, {string})
        sum({int})
        sum({dec})
        sum(DISTINCT {bigint})
        avg({int})
        avg({dec})
        min({any})
        max({any})
        count_if({bool})
        bool_and({bool})
        bool_or({bool})
        bit_and({int})
        bit_xor({bigint})
        max_by({name}, id)
        min_by({name}, id)
        sort_array(collect_list({int}))
        sort_array(collect_set({string}))
        array_sort(collect_list({dec}))
        sum({dec}) FILTER (WHERE {bool})
        count({any}) FILTER (WHERE {bool})
        sum({int}) + max({int})
        sum({dec}) / count(*)
        round(avg({dec}), 2)
        coalesce(sum(CASE WHEN {bool} THEN {dec} END), 0)
        try_sum({bigint})
        mode({int}, true)
    """,
    "statistic": """
        sum({double})
        avg({double})
        stddev({double})
        var_pop({num})
        round(corr({varied}, {varied}), 9)
        round(covar_samp({varied}, {varied}), 9)
        round(skewness({varied}), 9)
        round(kurtosis({varied}), 9)
        round(regr_slope({varied}, {varied}), 9)
        median({num})
        percentile({double}, 0.25)
        string_agg({string}, ',') WITHIN GROUP (ORDER BY id)
    """,
    "varied": "x\ny\nm\ni",  # of a constant these are noise around zero
    "window": """
        row_number() OVER (ORDER BY {any}, id)
        rank() OVER (PARTITION BY g ORDER BY {any})
        dense_rank() OVER (ORDER BY {any} DESC)
        percent_rank() OVER (PARTITION BY h ORDER BY {num})
        cume_dist() OVER (ORDER BY {any} NULLS LAST)
        ntile(4) OVER (PARTITION BY g ORDER BY {any}, id)
        lag({any}) OVER (PARTITION BY g ORDER BY id)
        lead({any}, 2) OVER (ORDER BY id DESC)
        lag({int}, 1, -1) OVER (PARTITION BY h ORDER BY {any}, id)
        first_value({any}) OVER (PARTITION BY g ORDER BY id)
        last({any}, true) OVER (PARTITION BY g ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
        nth_value({any}, 2) OVER (PARTITION BY g ORDER BY id)
        sum({int}) OVER (PARTITION BY g ORDER BY {num}, id)
        sum({dec}) OVER (PARTITION BY {int} ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING)
        sum({num}) OVER (PARTITION BY g)
        sum({dec}) OVER (ORDER BY {any})
        avg({dec}) OVER (PARTITION BY h ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
        avg({int}) OVER (PARTITION BY {string})
        min({any}) OVER (PARTITION BY g ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
        max({any}) OVER (PARTITION BY {bool})
        count({any}) OVER (PARTITION BY g ORDER BY i RANGE BETWEEN 2 PRECEDING AND 2 FOLLOWING)
        sum({int}) OVER (ORDER BY b DESC RANGE BETWEEN 10 PRECEDING AND CURRENT ROW)
        sum({int}) OVER (ORDER BY m RANGE BETWEEN 1 PRECEDING AND 1.5 FOLLOWING)
        count(*) OVER (ORDER BY d RANGE BETWEEN INTERVAL 30 DAY PRECEDING AND CURRENT ROW)
        max({num}) OVER (ORDER BY i RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        count({any}) OVER (PARTITION BY {any}, {bool})
        sum({dec}) OVER (PARTITION BY g) / count(*) OVER (PARTITION BY h)
        stddev({double}) OVER (PARTITION BY g)
        collect_list({int}) OVER (PARTITION BY g ORDER BY id)
    """,
    "ordered": """
        SELECT id, {any} AS v FROM rows WHERE {bool} ORDER BY {made} DESC, id
        SELECT id, {any} AS v FROM rows ORDER BY {made} NULLS LAST, id LIMIT 7
        SELECT id, {any} AS v FROM rows ORDER BY 2 NULLS FIRST, 1 LIMIT 9 OFFSET 3
    """,
    "query": """
        SELECT DISTINCT {any} AS v, {bool} AS w FROM rows
        SELECT {any} AS k, count(*) AS n, sum({int}) AS s FROM rows GROUP BY 1 HAVING count(*) > 1
        SELECT {string} AS k, {bool} AS l, max({dec}) AS s FROM rows GROUP BY k, l
        SELECT g, h, sum({dec}) AS s, grouping(g) AS a FROM rows GROUP BY ROLLUP (g, h)
        SELECT g, h, count({any}) AS s, grouping_id() AS a FROM rows GROUP BY CUBE (g, h)
        SELECT g, h, avg({int}) AS s FROM rows GROUP BY GROUPING SETS ((g), (h), ())
        SELECT a.id AS one, c.id AS two, a.{name} AS v FROM rows a JOIN others c ON a.g = c.g AND a.i < c.j
        SELECT a.id AS one, c.id AS two FROM rows a LEFT JOIN others c ON a.{name} = c.{name}
        SELECT a.id AS one, c.id AS two FROM rows a FULL JOIN others c ON a.{name} <=> c.{name}
        SELECT a.id AS one, c.id AS two FROM rows a RIGHT JOIN others c ON a.i = c.b AND c.p
        SELECT a.id AS one, c.id AS two FROM rows a JOIN others c ON a.m = c.i
        SELECT a.id AS one, c.id AS two FROM rows a JOIN others c ON a.x = c.m
        SELECT id, a.t AS v FROM rows a LEFT SEMI JOIN others c ON a.{name} = c.{name}
        SELECT id, a.d AS v FROM rows a LEFT ANTI JOIN others c ON a.{name} = c.{name} AND c.i > 0
        SELECT g, count(*) AS n FROM rows JOIN others USING (g) GROUP BY g
        SELECT * FROM (SELECT g, h FROM rows) NATURAL FULL JOIN (SELECT h, i FROM others)
        SELECT {num} AS v FROM rows UNION ALL SELECT {num} AS v FROM others
        SELECT {any} AS v FROM rows UNION SELECT {any} AS v FROM others
        SELECT g, {bool} AS v FROM rows EXCEPT SELECT g, {bool} AS v FROM others
        SELECT {int} AS v FROM rows INTERSECT SELECT {num} AS v FROM others
        SELECT g, p FROM rows EXCEPT ALL SELECT g, p FROM others
        SELECT {name} FROM rows INTERSECT ALL SELECT {name} FROM others
        SELECT id FROM rows WHERE {name} IN (SELECT {name} FROM others)
        SELECT id FROM rows WHERE i NOT IN (SELECT j FROM others WHERE {bool})
        SELECT id FROM rows a WHERE EXISTS (SELECT 1 FROM others c WHERE c.g = a.g AND c.i > a.i)
        SELECT id FROM rows a WHERE NOT EXISTS (SELECT 1 FROM others c WHERE c.{name} = a.{name})
        SELECT id, (SELECT max({num}) FROM others) AS v FROM rows
        SELECT id, (SELECT sum(c.m) FROM others c WHERE c.g = a.g) AS v FROM rows a
        SELECT id FROM rows a WHERE a.m > (SELECT avg(c.m) FROM others c WHERE c.h = a.h)
        WITH k AS (SELECT g, sum({dec}) AS s FROM rows GROUP BY g) SELECT s, o.i FROM k JOIN others o ON k.g <=> o.g
        SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY g ORDER BY {any}, id) AS n FROM rows) WHERE n = 1
        SELECT id, word FROM rows LATERAL VIEW explode(split({string}, ' ')) AS word
        SELECT id, pos, v FROM rows LATERAL VIEW OUTER posexplode(array({num}, {num})) AS pos, v
        SELECT * FROM (SELECT g, h, m FROM rows) PIVOT (sum(m) FOR h IN ('p', 'q'))
        SELECT id, explode(sequence(1, {n})) AS v FROM rows WHERE i > 0
    """,
    # Never a literal: a number there is a position.
    "made": "({int} + i)\nupper({string})\n({dec} * m)\nlast_day({date})\nnullif({any}, {any})\n(x - {num})",
    "name": "i\nj\nb\nm\nt\nu\nd\np\nz",
}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


LEAVES = {kind: _lines(text) for kind, text in _LEAVES.items()}
GOES_ON = {kind: _lines(text) for kind, text in _GOES_ON.items()}


def grown(chance: random.Random, kind: str, depth: int) -> str:
    """A text of that kind, at most `depth` functions deep."""
    if kind in LEAVES:
        is_leaf = depth == 0 or kind not in GOES_ON or chance.random() < 1 / 8
        choice = chance.choice((LEAVES if is_leaf else GOES_ON)[kind])
        depth -= 1
    else:
        choice = chance.choice(GOES_ON[kind])
    return re.sub(r"\{(\w+)\}", lambda slot: grown(chance, slot[1], max(depth, 0)), choice)


def drawn(kind: str, number: int, depth: int) -> list[str]:
    """Up to that many different texts, the same in every run."""
    chance = random.Random(f"{kind} {depth}")
    return list(dict.fromkeys(grown(chance, kind, depth) for _ in range(number)))


@dataclass(frozen=True)
class Answer:
    """What an engine gave: `rows` with names and types, or `raised` and why, or `refused`."""

    words: str
    columns: tuple[tuple[str, str], ...] = ()
    rows: tuple[str, ...] = ()


def written(value: Any) -> Any:
    """A value as JSON can tell it from others; floating numbers to 13 digits."""
    if isinstance(value, float):
        return f"double {value:.13g}"
    if isinstance(value, list):
        return [written(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else f"{type(value).__name__} {value}"


def answer(found: pa.Table, *, ordered: bool) -> Answer:
    kinds = tuple((field.name, ddl(field.type)) for field in found.schema)
    # Days and instants as numbers: Python's end with the year 9999.
    plain = [c.cast({pa.date32(): pa.int32(), TIMESTAMP: pa.int64()}.get(c.type, c.type)) for c in found.columns]
    columns = [[json.dumps(written(value), ensure_ascii=False) for value in column.to_pylist()] for column in plain]
    rows = [" | ".join(row) for row in zip(*columns, strict=True)]
    return Answer("rows", kinds, tuple(rows if ordered else sorted(rows)))


class Asked:
    """One engine that holds the tables."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.frames = {name: engine.from_arrow(rows) for name, rows in TABLES.items()}

    def rows(self, query: str) -> pa.Table | Answer:
        """The rows, or what the engine gave instead."""
        used = {name: frame for name, frame in self.frames.items() if re.search(rf"\b{name}\b", query)}
        try:
            return self.engine.sql(query, used).to_arrow()
        except NotPortable:
            return Answer("refused")
        except (DataError, SqlError) as error:
            text = " ".join(str(error).split())
            return Answer(
                "refused" if "not proven equal to Spark" in text else f"raised {type(error).__name__}: {text}"
            )

    def query(self, text: str, *, ordered: bool) -> Answer:
        """The answer to a whole query."""
        found = self.rows(text)
        return found if isinstance(found, Answer) else answer(found, ordered=ordered)

    def columns(self, shape: str, texts: Sequence[str], at_once: int = 1) -> dict[str, Answer]:
        """The answer to each text as a column of `shape`, so many of them in one query as can be answered together."""
        found: dict[str, Answer] = {}
        for start in range(0, len(texts), at_once):
            found |= self._together(shape, texts[start : start + at_once])
        return found

    def _together(self, shape: str, texts: Sequence[str]) -> dict[str, Answer]:
        found = self.rows(shape.format(", ".join(f"{text} AS v{n}" for n, text in enumerate(texts))))
        if isinstance(found, Answer):
            return {texts[0]: found} if len(texts) == 1 else self.columns(shape, texts, len(texts) // 2)
        keys = [name for name in found.column_names if not name.startswith("v")]
        alone = {text: found.select([*keys, f"v{n}"]) for n, text in enumerate(texts)}
        return {text: answer(table.rename_columns([*keys, "v"]), ordered=False) for text, table in alone.items()}


@pytest.fixture(scope="module")
def embedded() -> Iterator[Asked]:
    engine = open_engine("duckdb")
    yield Asked(engine)
    engine.close()


@pytest.fixture(scope="module")
def on_spark(spark_folder: Path, compile_queries: Callable[[Engine], None]) -> Iterator[Asked]:
    """One session on the test run's own server for all queries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THRESHER_SPARK_HOME", str(spark_folder))
        engine = open_engine("spark")
    compile_queries(engine)
    yield Asked(engine)
    engine.close()


def asked_again(ours: Mapping[str, Answer]) -> tuple[list[str], list[str]]:
    """The texts with rows, and those that raised: the questions for Spark."""
    answered = [text for text, found in ours.items() if found.words == "rows"]
    raised = [text for text, found in ours.items() if found.words.startswith("raised")]
    assert len(answered) > len(ours) // 2
    return answered, raised


def unlike(ours: Mapping[str, Answer], sparks: Mapping[str, Answer]) -> str:
    """Each text with different answers, and these."""
    lines = []
    for text, theirs in sparks.items():
        if ours[text] == theirs or (ours[text].words.startswith("raised") and theirs.words.startswith("raised")):
            continue
        rows = [pair for pair in zip(ours[text].rows, theirs.rows, strict=False) if pair[0] != pair[1]]
        for name, found, row in (("ours", ours[text], 0), ("Spark", theirs, 1)):
            first = rows[0][row] if rows else f"{len(found.rows)} rows"
            lines.append(f"{text}\n    {name}: {found.words[:300]} {found.columns} {first}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("shape", "kind", "number", "depth"),
    [
        ("SELECT id, {} FROM rows", "column", 400, 2),
        ("SELECT id, {} FROM rows", "column", 100, 4),
        ("SELECT id, {} FROM ends", "column", 250, 1),
        ("SELECT g, h, {} FROM rows GROUP BY g, h", "aggregate", 80, 1),
        ("SELECT {} FROM ends", "exact", 80, 1),
        ("SELECT id, {} FROM rows", "window", 60, 1),
    ],
    ids=["expressions", "deep expressions", "values at the ends", "aggregates by key", "exact aggregates", "windows"],
)
def test_columns_are_sparks(shape: str, kind: str, number: int, depth: int, embedded: Asked, on_spark: Asked) -> None:
    ours = embedded.columns(shape, drawn(kind, number, depth))
    answered, raised = asked_again(ours)
    sparks = on_spark.columns(shape, answered, PER_QUERY) | on_spark.columns(shape, raised)
    assert unlike(ours, sparks) == ""


@pytest.mark.parametrize(("kind", "number"), [("query", 60), ("ordered", 20)])
def test_whole_queries_are_sparks(kind: str, number: int, embedded: Asked, on_spark: Asked) -> None:
    ordered = kind == "ordered"
    ours = {text: embedded.query(text, ordered=ordered) for text in drawn(kind, number, 2)}
    answered, raised = asked_again(ours)
    assert unlike(ours, {text: on_spark.query(text, ordered=ordered) for text in answered + raised}) == ""
