"""What Apache Spark answers to SQL statements: evidence for the allow-list of the portable SQL.

    python tools/ask_spark.py < statements.sql >> tests/sql_answers/strings.jsonl

Reads one statement a line; writes one JSON line each with `sql` and either `spark` (`schema`: name and type; `rows`,
sorted by their JSON unless the statement orders them) or `error` (the error condition). Values are written as
`tests/test_sql_parity.py` reads them. The session's zone is UTC, ANSI mode is on.
"""

import json
import logging
import sys
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Row
from pyspark.sql.connect.session import SparkSession

from thresher.engines import spark_server

_SETTINGS = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true", "spark.sql.shuffle.partitions": "1"}


def encoded(value: Any) -> Any:
    """A value as the recorded answers write it."""
    import datetime
    import decimal

    match value:
        case bool() | None | int() | str():
            return value
        case float():
            text = repr(float(f"{value:.13g}"))
            return "NaN" if value != value else "-0.0" if text == "-0.0" else float(text)
        case decimal.Decimal():
            return f"D:{value:f}"
        case datetime.datetime():
            return f"T:{value.replace(tzinfo=None).isoformat()}"
        case datetime.date():
            return f"d:{value.isoformat()}"
        case datetime.timedelta():
            return f"I:{value.total_seconds()}"
        case bytes() | bytearray():
            return f"x:{bytes(value).hex()}"
        case Row():
            return {"R": [[name, encoded(item)] for name, item in zip(value.__fields__, value, strict=True)]}
        case list():
            return [encoded(item) for item in value]
        case dict():
            return {"M": [[encoded(key), encoded(item)] for key, item in value.items()]}
    raise TypeError(f"no way to write a {type(value).__name__}: {value!r}")


def answer(spark: SparkSession, statement: str) -> dict[str, Any]:
    """Spark's rows and types for one statement, or its error condition."""
    try:
        frame = spark.sql(statement)
        schema = [[field.name, field.dataType.simpleString()] for field in frame.schema.fields]
        rows = [[encoded(value) for value in row] for row in frame.collect()]
    except PySparkException as error:
        return {"sql": statement, "error": error.getCondition() or type(error).__name__}
    if "order by" not in statement.lower():
        rows.sort(key=json.dumps)
    return {"sql": statement, "spark": {"schema": schema, "rows": rows}}


def main() -> None:
    """Answers to the statements on standard input."""
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    builder: Any = SparkSession.builder
    spark = builder.remote(spark_server.ensure()).create()
    for name, value in _SETTINGS.items():
        spark.conf.set(name, value)
    for line in sys.stdin:
        if statement := line.strip():
            print(json.dumps(answer(spark, statement), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
