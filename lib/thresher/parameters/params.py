"""The parameters of a pipeline: the file's defaults, and over them what was given, each in its type.

A parameter has the type of the notebooks' parameters that are `${name}` and nothing else; where there is none, the
type of its own default.
"""

import ast
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from thresher.errors import ParameterError, SecretError
from thresher.parameters import references, types
from thresher.parameters.notebook import Contract, Parameter
from thresher.parameters.references import Filled, Unknown, only_reference, secret_names
from thresher.parameters.types import choices, is_secret_reference
from thresher.pipeline_file import Argument, PipelineText, Problems, did_you_mean, parse_value, word_for
from thresher.secrets import store as secrets

EACH = "each."  # begins the names of an item's values
_ELSE_KNOWN = ("run.date", "run.id", "run.pipeline", "env:NAME", "secret:NAME")


@dataclass(frozen=True)
class Use:
    """A parameter of a notebook that a pipeline's parameter is given to, as it is or within more text."""

    notebook: str
    parameter: Parameter
    is_whole: bool


@dataclass
class Params:
    """The parameters of a pipeline as a run has them, and what must be known of each."""

    file: str
    run: Mapping[str, str]
    filled: dict[str, Filled] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)  # how each was given, for messages
    secrets: dict[str, str] = field(default_factory=dict)  # values that were given as plain text

    @property
    def values(self) -> dict[str, Any]:
        """The values by name; a secret is a reference."""
        return {name: each.value for name, each in self.filled.items()}


def uses(text: PipelineText, contracts: Mapping[str, Contract | None]) -> dict[str, list[Use]]:
    """Which notebooks' parameters each parameter of a pipeline is given to."""
    found: dict[str, list[Use]] = {name: [] for name in text.params}
    for step in text.steps:
        contract = contracts.get(step.name)
        for name, argument in step.arguments.items():
            parameter = contract.parameters.get(name) if contract else None
            for param in text.params if parameter else ():
                whole = only_reference(argument.value) == param
                if parameter and (whole or f"${{{param}}}" in str(argument.value)):
                    found[param].append(Use(step.notebook or "", parameter, whole))
    return found


def params_of(
    text: PipelineText,
    given: Mapping[str, Any],
    used: Mapping[str, Sequence[Use]],
    run: Mapping[str, str],
    problems: Problems,
    places: Mapping[str, str] | None = None,
) -> Params:
    """The pipeline's parameters: the file's, and over them those that were given; what is wrong is noted.

    `places` tells of those that were not given by -p, file and line of each.
    """
    params = Params(problems.file, run)
    for name, argument in text.params.items():
        params.filled[name] = _default(name, argument, used[name], text, run, problems)
    hides_values = any(_is_secret(params.filled[name], used[name]) for name in params.filled)
    for name, value in given.items():
        if name not in params.filled:
            shown = "…" if hides_values else value
            hint = did_you_mean(name, params.filled)
            problems.add(0, f"{problems.file}: unknown parameter -p {name}={shown}. {hint}", ParameterError)
            continue
        is_secret = _is_secret(params.filled[name], used[name])
        shown = "…" if is_secret else value
        place = (places or {}).get(name)
        try:
            if is_secret and place and value is not None and not is_secret_reference(value):
                raise SecretError("found no reference to a secret, expected ${secret:NAME}")
            if is_secret:
                params.filled[name] = _given_secret(name, value, params)
            else:
                params.filled[name] = Filled(_given(name, value, params.filled[name].value, used[name]))
            params.given[name] = f"{place}: {name}={shown}" if place else f"-p {name}={shown}"
        except ValueError as error:
            where = f"{place}:" if place else f"{problems.file}: -p"
            problems.add(0, f"{where} {name}={shown}: {error}", ParameterError)
            # The secret that stands in the file is not asked for, and so not looked for either.
            params.secrets |= dict.fromkeys(secret_names(str(params.filled[name].value)), "")
    return params


def typed(text: str, parameters: Sequence[Parameter]) -> Any:
    """A text from outside as a value: itself where the type takes text, else read as YAML. Raises ValueError.

    >>> from thresher.parameters.notebook import parameters
    >>> found = parameters("code: str\\nmonths: list[int]\\nsince: Date | None")
    >>> [typed(text, [found[name]]) for name, text in [("code", "001"), ("months", "[1, 2]"), ("since", "null")]]
    ['001', [1, 2], None]
    """
    fits = [all(each.accepts(value) for each in parameters) for value in (None, text)]
    if text == "null" and fits[0]:
        return None
    if fits[1]:
        return text
    value = parse_value(text)
    if not all(each.accepts(value) for each in parameters) and all(each.takes_text for each in parameters):
        return text
    return value


def of_item(value: Any, parameter: Parameter) -> Any:
    """A value of a table configuration in a parameter's type, where it is a text that can be read so.

    A list may be written with commas.

    >>> from thresher.parameters.notebook import parameters
    >>> found = parameters("key: list[str]\\nlimit: int")
    >>> of_item("order_id, line", found["key"]), of_item("[id]", found["key"]), of_item("5", found["limit"])
    (['order_id', 'line'], ['id'], 5)
    """
    if not isinstance(value, str) or parameter.accepts(value):
        return value
    with suppress(ValueError):
        if parameter.accepts(read := parse_value(value)):
            return read
    parts = [part.strip() for part in value.split(",")]
    return parts if parameter.accepts(parts) else value


def explained(error: Unknown, params: Iterable[str]) -> str:
    """The message about a reference that stands for nothing, with the nearest that there is."""
    return f"{error}. {did_you_mean(error.name, [*params, *_ELSE_KNOWN])}" if error.is_unexplained else str(error)


def closest_choice(value: Any, parameter: Parameter) -> str:
    """The end of a message about a value: which choice was meant, where one is close."""
    known = [choice for choice in choices(parameter.kind) if isinstance(choice, str)]
    hint = did_you_mean(value, known) if isinstance(value, str) and known else ""
    return f". {hint}" if hint.startswith("Did") else ""


def _default(
    name: str, argument: Argument, used: Sequence[Use], text: PipelineText, run: Mapping[str, str], problems: Problems
) -> Filled:
    try:
        filled = references.fill(argument.value, {}, run)
        kinds = _kinds(used)
        if filled.is_outside_text and kinds:
            filled.value = typed(filled.value, kinds)
        return filled
    except Unknown as error:
        if error.name in text.params:
            reason = f"{name}: params cannot refer to each other (found {argument.value!r})"
            problems.add(argument.line, reason)
        else:
            problems.add(argument.line, f"{name}: {explained(error, ())}")
    except ValueError as error:
        problems.add(argument.line, f"{name}: {error}", ParameterError)
    return Filled(argument.value)


def _kinds(used: Sequence[Use]) -> list[Parameter]:
    """The parameters whose type is the pipeline parameter's own."""
    return [each.parameter for each in used if each.is_whole and not each.parameter.is_any]


def _is_secret(filled: Filled, used: Sequence[Use]) -> bool:
    """Whether a value given for a parameter is a secret: it is opened as one, or stands in place of one."""
    kinds = [each for each in used if each.parameter.is_secret]
    return filled.has_secret or any(each.is_whole or filled.value is None for each in kinds)


def _given(name: str, value: Any, default: Any, used: Sequence[Use]) -> Any:
    """A given value in the type of the notebooks' parameters, else of the default. Raises ValueError."""
    kinds = _kinds(used)
    if not kinds:
        return _as_default(name, value, default)
    value = _read(name, value, kinds[0].kind, lambda text: typed(text, kinds))
    for use in used:
        if use.is_whole and not use.parameter.accepts(value):
            wanted = f"expected {use.parameter.type}, as {use.parameter.name} of {use.notebook}"
            is_item = isinstance(value, str) and use.parameter.accepts(value.split(","))
            hint = f". A list is written [{value}]" if is_item else closest_choice(value, use.parameter)
            raise ValueError(f"found {word_for(value)}, {wanted}{hint}")
    return float(value) if isinstance(default, float) and type(value) is int else value


def _read(name: str, value: Any, kind: ast.expr, read: Callable[[str], Any]) -> Any:
    """A given value, a text read as what it stands for. Raises ValueError with an example of what was expected."""
    if not isinstance(value, str):
        return value
    try:
        return read(value)
    except ValueError as error:
        reason = str(error).replace("'<stream end>'", "the end")
        example = shlex.quote(f"{name}={types.example(kind)}")
        raise ValueError(f"{reason}. Expected {types.shown(kind)}: -p {example}") from error


def _as_default(name: str, value: Any, default: Any) -> Any:
    if not isinstance(default, str):
        value = _read(name, value, types.kind_of(default), parse_value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if default is not None and type(value) is not type(default):
        raise ValueError(f"found {word_for(value)}, expected {word_for(default).partition(' (')[0]}, as the default is")
    return value


def _given_secret(name: str, value: Any, params: Params) -> Filled:
    """What stands for a secret that was given: the reference that was given, or one to the value, kept aside."""
    if value is None or is_secret_reference(value):
        return Filled(value, has_secret=value is not None)
    reference = f"${{secret:{name}}}"
    if not isinstance(value, str) or not is_secret_reference(reference):
        raise SecretError("found no text, expected a secret, for a parameter whose name has letters, digits and _ only")
    params.secrets[name] = secrets.checked(name, value)
    return Filled(reference, has_secret=True)
