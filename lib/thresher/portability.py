"""Before a run: which SQL of a pipeline the embedded engine takes, and what it would refuse, by name and place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thresher import pipeline, sql
from thresher.errors import NotPortable, SqlError, ThresherError, UsageError
from thresher.lake import Lake
from thresher.places import lake_folder
from thresher.project import names_file, resolve
from thresher.sql.params import bind

_QUERY = "query"  # the argument of a notebook that holds SQL, or the path of a .sql file
_PARAMS = "params"  # the argument with the values of :name in it


@dataclass(frozen=True)
class Finding:
    """One query of a step: `problem` is empty where it is portable.

    `is_typed` tells whether the types were checked too; that takes the schemas of the datasets that it reads.
    """

    step: str
    query: str
    problem: str = ""
    is_typed: bool = False


@dataclass(frozen=True)
class Portability:
    """What became of every query of a pipeline; `on_spark` are the steps that say engine: spark: not checked."""

    pipeline: str
    findings: tuple[Finding, ...]
    on_spark: tuple[str, ...]

    @property
    def is_portable(self) -> bool:
        """Whether the embedded engine would refuse nothing."""
        return not any(finding.problem for finding in self.findings)

    def __str__(self) -> str:
        lines = []
        for finding in self.findings:
            verdict = (
                "portable" if finding.is_typed else "portable by its names; types are checked once its inputs exist"
            )
            lines.append(f"{finding.step}  {finding.query}  {finding.problem or verdict}")
        lines += [f"{step}  runs on Spark: not checked" for step in self.on_spark]
        refused = sum(bool(finding.problem) for finding in self.findings)
        total = f"{refused} of {len(self.findings)} queries would be refused"
        return "\n".join([*lines, f"{self.pipeline}: {total if refused else 'all queries are portable'}"])


def check(file: Path | str, params: Mapping[str, Any] | None = None, *, lake: Path | str | None = None) -> Portability:
    """Check every query of a pipeline without running anything.

    Out: one finding per step and query (an argument `query`, or one that names a .sql file). Types are checked where
    the lake holds the datasets already, else constructs and functions by their names. Raises UsageError for a pipeline
    that is wrong, as before a run.
    """
    checked = pipeline.plan(file, params, lake=lake)
    folder = lake_folder(lake)
    known = Lake(folder, "duckdb") if folder.is_dir() else None
    findings, on_spark = [], []
    for step in checked.steps:
        if step.engine not in (None, "duckdb"):
            on_spark.append(step.name)
            continue
        for name, origin, text in _queries(step.arguments, checked.project):
            params = step.arguments.get(_PARAMS, {}) if name == _QUERY else {}
            findings.append(_check(step.name, origin, text, params, known))
    return Portability(checked.name, tuple(findings), tuple(on_spark))


def _queries(arguments: Mapping[str, Any], project: Path) -> Iterator[tuple[str, str, str]]:
    """The argument, the origin and the text of each query."""
    for name, value in arguments.items():
        if not isinstance(value, str):
            continue
        if names_file(value, ".sql"):
            file = resolve(value.strip(), project)
            if not file.is_file():
                raise UsageError(f"file {value.strip()} is not there; expected a .sql file in the project")
            yield name, value.strip(), file.read_text("utf-8")
        elif name == _QUERY:
            yield name, name, value


def _check(step: str, origin: str, text: str, params: Mapping[str, Any], lake: Lake | None) -> Finding:
    try:
        query = sql.parse(bind(text, params) if params else text, origin)
        if lake is None or not all("." in table and lake.exists(table) for table in query.tables):
            query.check_names()
            return Finding(step, origin)
        schemas = {table: lake.schema(table) for table in query.tables}
        query.translation({table: "t" for table in query.tables}, schemas)
    except ThresherError as error:
        return Finding(step, origin, str(error), is_typed=isinstance(error, NotPortable | SqlError))
    return Finding(step, origin, is_typed=True)
