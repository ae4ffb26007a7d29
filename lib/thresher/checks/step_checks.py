"""The checks of a step as its pipeline file says them: references replaced, rules read, datasets found."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from thresher.checks.rules import read_rule
from thresher.errors import PipelineError, UsageError
from thresher.parameters.params import Params, explained
from thresher.parameters.references import Unknown, fill
from thresher.pipeline_file import CheckText, Problems, StepText, did_you_mean

Said = Mapping[str, Sequence[Mapping[str, Any]]]


def of_step(text: StepText, writes: Sequence[str], params: Params, problems: Problems) -> tuple[Said, list[str]]:
    """The rules by dataset, and the other datasets that they read; what is wrong with them is noted."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    reads: list[str] = []
    for each in text.checks:
        try:
            dataset, said = _filled(each, params)
            dataset = dataset or _only(writes)
            if dataset not in writes:
                raise PipelineError(f"step {text.name} does not write {dataset}. {did_you_mean(dataset, writes)}")
            rules = read_rule(said)
        except UsageError as error:
            problems.add(each.line, f"checks: {error}", PipelineError)
            continue
        found[dataset].append(said)
        reads += [name for rule in rules for name in rule.reads if name not in writes]
    return dict(found), reads


def _filled(text: CheckText, params: Params) -> tuple[str, Mapping[str, Any]]:
    try:
        dataset, said = (fill(value, params.values, params.run) for value in (text.dataset or "", text.said))
    except Unknown as error:
        raise PipelineError(explained(error, params.filled)) from error
    if said.has_secret or said.has_run_id:
        raise PipelineError("a rule can name neither a secret nor the run's id: it is shown, and compared between runs")
    return str(dataset.value), said.value


def _only(writes: Sequence[str]) -> str:
    if len(writes) != 1:
        raise PipelineError(
            f"found a list of rules and {len(writes)} datasets that the step writes ({', '.join(writes) or 'none'}), "
            f"expected a mapping of datasets to lists: {{{(*writes, 'zone.name')[0]}: [{{not_null: id}}]}}"
        )
    return writes[0]
