"""What a run tells its follower, as OpenLineage events.

A dataset is named by the lake's address and its own name (`file:///data/lake`, `mart.fact_sales`), landing files by
their path; a job is a pipeline (`sales`) or a step of it (`sales.load`). The ids of runs follow from ours, and are the
same when a run is continued.
"""

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    dataset_version_dataset,
    documentation_job,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    source_code_location_job,
    sql_job,
    storage_dataset,
)

from thresher import __version__, landing
from thresher.datasets import is_companion, state
from thresher.errors import ThresherError
from thresher.lineage.columns import Origin
from thresher.lineage.steps import Step
from thresher.parameters.notebook import code_of
from thresher.project import names_file, resolve
from thresher.types import canonical_schema, ddl

_IDS = uuid.UUID("6f0c9a52-2f2b-5b0e-9d5c-7a4b1c0e8d31")
_STATES = {"succeeded": RunState.COMPLETE, "failed": RunState.FAIL, "cancelled": RunState.ABORT}

set_producer(f"urn:thresher:{__version__}")


class Events:
    """Makes the events of one run from what is told of it (`follower`)."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        self.run = run
        self.lake = Path(run["lake"])
        self.project = Path(run["project"])
        self.namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or self.project.name
        self.open: set[str] = set()  # steps that have begun and not ended

    def run_event(self, message: Mapping[str, Any]) -> RunEvent:
        """The run began (START) or ended: COMPLETE, FAIL, or ABORT where it was cancelled or killed."""
        facets: dict[str, Any] = dict(self._run_facets(self.run["engine"], message.get("error")))
        began = message["what"] == "began"
        kind = RunState.START if began else _STATES.get(message["status"], RunState.ABORT)
        job_facets: dict[str, Any] = {
            "jobType": job_type_job.JobTypeJobFacet("BATCH", "THRESHER", "PIPELINE"),
            "sourceCodeLocation": self._source(self.run["file"]),
        }
        if self.run["description"]:
            job_facets["documentation"] = documentation_job.DocumentationJobFacet(self.run["description"])
        job = Job(self.namespace, self.run["pipeline"], job_facets)
        return RunEvent(eventTime=message["at"], run=Run(self._id(), facets), job=job, eventType=kind)

    def step_began(self, message: Mapping[str, Any]) -> RunEvent:
        """A step began: START, with what it is to read and write."""
        name = message["name"]
        self.open.add(name)
        step = self.run["steps"][name]
        inputs = {each: state(self.lake, each) for each in step["reads"]}
        outputs = [self._output(each) for each in step["writes"]]
        return self._step_event(name, message["at"], RunState.START, inputs, outputs)

    def step_ended(self, message: Mapping[str, Any]) -> RunEvent | None:
        """A step ended: COMPLETE, FAIL or ABORT; None for one that was not run."""
        done = message["step"]
        name = done["name"]
        if name not in self.open:
            return None
        self.open.discard(name)
        step = self.run["steps"][name]
        read = {each: (done["fingerprint"] or {}).get(f"dataset {each}", "") for each in step["reads"]}
        written = done["outputs"] or dict.fromkeys(step["writes"], "")
        rows = {each["dataset"]: each["rows_out"] for each in done["counts"]}
        columns = self._columns(step, read, written)
        outputs = [self._output(each, at, rows.get(each), columns.get(each)) for each, at in written.items()]
        kind = _STATES.get(done["status"], RunState.ABORT)
        return self._step_event(name, message["at"], kind, read, outputs, error=done["error"])

    def aborted(self, at: str) -> Iterator[RunEvent]:
        """The runner is gone without a word: what had begun was aborted."""
        for name in sorted(self.open):
            yield self._step_event(name, at, RunState.ABORT, {}, [])
        yield self.run_event({"what": "ended", "at": at, "status": "killed", "error": "the process was killed"})

    def _step_event(
        self,
        name: str,
        at: str,
        kind: RunState,
        read: Mapping[str, str],
        outputs: list[OutputDataset],
        error: str | None = None,
    ) -> RunEvent:
        step = self.run["steps"][name]
        parent = parent_run.ParentRunFacet(
            run=parent_run.Run(self._id()), job=parent_run.Job(self.namespace, self.run["pipeline"])
        )
        facets: dict[str, Any] = {**dict(self._run_facets(step["engine"], error)), "parent": parent}
        job_facets: dict[str, Any] = {
            "jobType": job_type_job.JobTypeJobFacet("BATCH", "THRESHER", "NOTEBOOK"),
            "sourceCodeLocation": self._source(step["notebook"]),
        }
        if query := self._query(step):
            job_facets["sql"] = sql_job.SQLJobFacet(query, dialect="spark")
        inputs = [*(self._input(each, version) for each, version in read.items()), *self._landed(step["landing"])]
        run = Run(self._id(name), facets)
        job = Job(self.namespace, f"{self.run['pipeline']}.{name}", job_facets)
        return RunEvent(eventTime=at, run=run, job=job, eventType=kind, inputs=inputs, outputs=outputs)

    def _id(self, step: str = "") -> str:
        return str(uuid.uuid5(_IDS, f"{self.lake.as_uri()}#{self.run['id']}#{step}"))

    def _run_facets(self, engine: str, error: str | None) -> Iterator[tuple[str, Any]]:
        yield (
            "processing_engine",
            processing_engine_run.ProcessingEngineRunFacet(__version__, name=f"thresher {engine}"),
        )
        if self.run["run_date"]:
            yield "nominalTime", nominal_time_run.NominalTimeRunFacet(f"{self.run['run_date']}T00:00:00Z")
        if error:
            yield "errorMessage", error_message_run.ErrorMessageRunFacet(error, "python")

    def _source(self, file: str) -> Any:
        path = resolve(file, self.project)
        return source_code_location_job.SourceCodeLocationJobFacet("file", path.as_uri(), path=file)

    def _query(self, step: Mapping[str, Any]) -> str:
        text = step["arguments"].get("query", "")
        if not isinstance(text, str):
            return ""
        try:
            named = names_file(text, ".sql")
            return resolve(text.strip(), self.project).read_text("utf-8") if named else text
        except OSError:
            return ""

    @cached_property
    def _datasets(self) -> str:
        return self.lake.as_uri()

    def _input(self, name: str, at: str) -> InputDataset:
        return InputDataset(self._datasets, name, facets=self._facets(name, at))

    def _output(
        self, name: str, at: str = "", rows: int | None = None, columns: Mapping[str, list[Origin]] | None = None
    ) -> OutputDataset:
        facets = self._facets(name, at)
        if columns:
            fields = {column: self._from(found) for column, found in columns.items()}
            facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(fields)
        found = {} if rows is None else {"outputStatistics": _rows_written(rows)}
        return OutputDataset(self._datasets, name, found, facets=facets)

    def _facets(self, name: str, at: str) -> dict[str, Any]:
        facets: dict[str, Any] = {"storage": storage_dataset.StorageDatasetFacet("delta", "parquet")}
        if at:
            facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(at.partition(":")[0])
        fields = [
            schema_dataset.SchemaDatasetFacetFields(column, kind, ordinal_position=place)
            for place, (column, kind) in enumerate(self._schema(name, at).items(), 1)
        ]
        return facets | ({"schema": schema_dataset.SchemaDatasetFacet(fields)} if fields else {})

    def _schema(self, name: str, at: str = "") -> dict[str, str]:
        """The columns of a dataset with their types; none where it is not there."""
        found = at or state(self.lake, name)
        if not found:
            return {}
        zone, _, table = name.partition(".")
        try:
            there = DeltaTable(self.lake / zone / table, version=int(found.partition(":")[0])).schema().to_arrow()
            return {field.name: ddl(field.type) for field in canonical_schema(pa.schema(there))}
        except Exception:  # a facet less: nothing of this may stand in the way of an event
            return {}

    def _landed(self, patterns: Iterable[str]) -> Iterator[InputDataset]:
        for pattern in patterns:
            try:
                files = landing.find(pattern, self.project)
            except ThresherError:
                files = []
            size = sum(each.path.stat().st_size for each in files if each.path.exists())
            found = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(size=size, fileCount=len(files))
            yield InputDataset("file", str(resolve(pattern, self.project)), {"inputStatistics": found})

    def _columns(
        self, step: Mapping[str, Any], read: Mapping[str, str], written: Mapping[str, str]
    ) -> dict[str, dict[str, list[Origin]]]:
        """From which input columns the columns of each written dataset come, as far as that is known."""
        try:
            return Step(
                arguments=step["arguments"],
                code="\n".join(code_of(resolve(step["notebook"], self.project))),
                query=self._query(step),
                read={name: self._schema(name, at) for name, at in read.items()},
                written={name: self._schema(name, at) for name, at in written.items() if not is_companion(name)},
                lake=self.lake,
            ).origins()
        except Exception:  # facets less: nothing of this may stand in the way of an event
            return {}

    def _from(self, found: Iterable[Origin]) -> Any:
        def direct(origin: Origin) -> Any:
            subtype = "IDENTITY" if origin.is_identity else "TRANSFORMATION"
            return column_lineage_dataset.Transformation("DIRECT", subtype, origin.path or None)

        return column_lineage_dataset.Fields(
            [
                column_lineage_dataset.InputField(self._datasets, each.dataset, each.column, [direct(each)])
                for each in found
            ]
        )


def _rows_written(rows: int) -> Any:
    return output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
