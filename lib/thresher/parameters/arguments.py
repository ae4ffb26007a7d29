"""What the steps of a pipeline are given: references replaced, types checked, secrets named but not opened."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from thresher.errors import ParameterError
from thresher.parameters import references
from thresher.parameters.notebook import Contract, Parameter
from thresher.parameters.params import EACH, Params, closest_choice, explained, of_item, typed
from thresher.parameters.references import Filled, Unknown, only_reference
from thresher.pipeline_file import Argument, Problems, StepText, did_you_mean, word_for
from thresher.secrets import store as secrets

LAKE_PARAMETER = "lake"


@dataclass
class StepArguments:
    """The arguments of one step. `volatile` ones hold the run's id; `secrets` are the names of those that it needs."""

    values: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)  # the name of each in a message, with where it comes from
    volatile: frozenset[str] = frozenset()
    secrets: tuple[str, ...] = ()
    has_run_date: bool = False


def arguments_of(text: StepText, contract: Contract | None, params: Params, problems: Problems) -> StepArguments:
    """The arguments of a step, checked against its notebook's contract; what is wrong is noted."""
    found = StepArguments()
    known = {k: v for k, v in contract.parameters.items() if k != LAKE_PARAMETER} if contract else {}
    volatile = set()
    for name, argument in text.arguments.items():
        found.labels[name] = name
        try:
            filled = references.fill(argument.value, params.values, params.run)
        except Unknown as error:
            problems.add(argument.line, explained(error, params.filled))
            found.values[name] = argument.value
            continue
        if filled.is_outside_text and name in known:
            filled.value = typed(filled.value, [known[name]])
        elif (only_reference(argument.value) or "").startswith(EACH) and name in known:
            filled.value = of_item(filled.value, known[name])
        found.values[name] = filled.value
        found.labels[name] = name + _origin(argument, filled, params)
        sources = [filled, *(params.filled[each] for each in filled.names)]
        found.has_run_date |= filled.has_run_date
        if any(each.has_run_id for each in sources):
            volatile.add(name)
        if contract:
            has_secret = any(each.has_secret for each in sources)
            _check(text, name, found, known, has_secret=has_secret, problems=problems)
    _check_rest(text, found.values, known, problems)
    found.volatile = frozenset(volatile)
    found.secrets = tuple(dict.fromkeys(_needed(found.values, known)))
    return found


def open_secrets(steps: Iterable[tuple[StepText, StepArguments]], params: Params, problems: Problems) -> dict[str, str]:
    """The values of all secrets that the steps need; one that is missing is noted."""
    opened: dict[str, str] = {}
    for text, arguments in steps:
        for name in arguments.secrets:
            if name in opened:
                continue
            if name in params.secrets:
                opened[name] = params.secrets[name]
            elif value := problems.catch(text.line, f"step {text.name}", secrets.find, name):
                opened[name] = value
    return opened


def _check(
    text: StepText,
    name: str,
    found: StepArguments,
    known: Mapping[str, Parameter],
    *,
    has_secret: bool,
    problems: Problems,
) -> None:
    line, value, label = text.arguments[name].line, found.values[name], found.labels[name]
    parameter = known.get(name)
    if name == LAKE_PARAMETER:
        problems.add(line, f"{name} is given by the runner; take it away (thresher run --lake …)", ParameterError)
    elif parameter is None:
        hint = did_you_mean(name, known)
        problems.add(line, f"{text.notebook} has no parameter {name!r}. {hint}", ParameterError)
    elif has_secret and not parameter.is_secret:
        wanted = f"its type in {text.notebook} must be Secret, to be opened there by th.secret({name})"
        problems.add(line, f"{label}: refers to a secret, but is of type {parameter.type}; {wanted}", ParameterError)
    elif not parameter.accepts(value) and parameter.is_secret:
        wanted = f'{text.notebook} expects {parameter.type}: "${{secret:NAME}}"'
        problems.add(line, f"{label}: found no reference to a secret (not shown), {wanted}", ParameterError)
    elif not parameter.accepts(value):
        expected = f"{text.notebook} expects {parameter.type}{closest_choice(value, parameter)}"
        problems.add(line, f"{label}: found {word_for(value)}, {expected}", ParameterError)


def _check_rest(text: StepText, values: Mapping[str, Any], known: Mapping[str, Parameter], problems: Problems) -> None:
    """What is not given must be optional, and its default must keep the notebook's own promise."""
    for name, parameter in known.items():
        default = parameter.default
        if parameter.is_secret and default is not None and not parameter.accepts(default):
            wanted = f'expected {parameter.type}: "${{secret:NAME}}"'
            reason = f"{text.notebook}: the default of {name} is no reference to a secret (not shown), {wanted}"
            problems.add(text.line, f"step {text.name}: {reason}", ParameterError)
        elif name in values:
            continue
        elif parameter.is_required:
            expected = f"{name} ({parameter.type}), which {text.notebook} must be given"
            problems.add(text.line, f"step {text.name}: missing {expected}", ParameterError)
        elif default is not None and not parameter.accepts(default):
            reason = f"the default of {name} is {word_for(default)}, expected {parameter.type}"
            problems.add(text.line, f"step {text.name}: {text.notebook}: {reason}", ParameterError)


def _needed(values: Mapping[str, Any], known: Mapping[str, Parameter]) -> Iterable[str]:
    """The secrets that a step's arguments and its notebook's defaults refer to."""
    for name, parameter in known.items():
        if parameter.is_secret:
            yield from references.secret_names(str(values.get(name, parameter.default)))


def _origin(argument: Argument, filled: Filled, params: Params) -> str:
    """Where a value comes from that does not stand in its line."""
    given = [params.given[name] for name in sorted(filled.names) if name in params.given]
    if given:
        return f" ({', '.join(given)})"
    name = only_reference(argument.value)
    if name not in params.filled:
        return ""
    return f" (default of {name})" if filled.value is not None else f" (give it with -p {name}=…)"
