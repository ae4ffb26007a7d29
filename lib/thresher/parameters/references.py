"""References in the values of a pipeline: `${name}`, `${run.date}`, `${env:NAME:-default}`, `${secret:NAME}`.

A value that is only a reference takes what it stands for with its type; within text it becomes text. `$${` is a
literal `${`. What is put in is not looked at again. A reference to a secret stays as it is: it is opened in the
notebook, by `th.secret`.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from thresher.errors import PipelineError

RUN_ID = "<run.id>"
"""Stands for the run's id in a checked pipeline, until the run begins."""

SECRET_VARIABLE = "THRESHER_SECRET_"
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_SECRET = re.compile(r"\$\{secret:([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


@dataclass
class Filled:
    """A value with its references replaced, and what must be known of them."""

    value: Any = None
    names: set[str] = field(default_factory=set)
    has_run_id: bool = False
    has_run_date: bool = False
    has_secret: bool = False
    is_outside_text: bool = False  # the value is only `${env:…}`: text that has yet to take a type


class Unknown(PipelineError):
    """A reference that stands for nothing."""

    def __init__(self, name: str, reason: str = "") -> None:
        super().__init__(f"unknown ${{{name}}}" if not reason else f"${{{name}}}: {reason}")
        self.name = name
        self.is_unexplained = not reason


def secret_names(text: str) -> list[str]:
    """The secrets that a text refers to, in order.

    >>> secret_names("etl:${secret:WAREHOUSE}@db")
    ['WAREHOUSE']
    """
    return _SECRET.findall(text)


def replace_secrets(text: str, values: Mapping[str, str]) -> str:
    """A text with the secrets that it refers to in it."""
    return _SECRET.sub(lambda match: values[match[1]], text)


def replace_run_id(value: Any, run_id: str) -> Any:
    """A value with the run's id where it was not known yet, in lists and mappings too."""
    if isinstance(value, list):
        return [replace_run_id(each, run_id) for each in value]
    if isinstance(value, dict):
        return {key: replace_run_id(each, run_id) for key, each in value.items()}
    return value.replace(RUN_ID, run_id) if isinstance(value, str) else value


def fill(value: Any, params: Mapping[str, Any], run: Mapping[str, str]) -> Filled:
    """A value with its references replaced, in lists and mappings too.

    `params` are the pipeline's, `run` the facts of the run (`date`, `id`, `pipeline`). Raises Unknown.

    >>> fill({"source": "${landing}/*.xml", "n": ["${limit}"]}, {"landing": "in", "limit": 5}, {}).value
    {'source': 'in/*.xml', 'n': [5]}
    >>> fill("$${x} of ${run.date}", {}, {"date": "2026-11-01"}).value
    '${x} of 2026-11-01'
    """
    filled = Filled()
    filled.value = _fill(value, filled, params, run)
    return filled


def only_reference(value: Any) -> str | None:
    """The name that a value refers to, where it is nothing but that reference.

    >>> only_reference("${landing}"), only_reference("${landing}/a"), only_reference("$${landing}")
    ('landing', None, None)
    """
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else None


def _fill(value: Any, filled: Filled, params: Mapping[str, Any], run: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_fill(each, filled, params, run) for each in value]
    if isinstance(value, dict):
        return {key: _fill(each, filled, params, run) for key, each in value.items()}
    if not isinstance(value, str):
        return value
    whole = only_reference(value)
    if whole is not None:
        return _resolve(whole, filled, params, run, is_whole=True)

    def replaced(match: re.Match[str]) -> str:
        return "${" if match[1] is None else str(_resolve(match[1], filled, params, run))

    return _REFERENCE.sub(replaced, value)


def _resolve(
    name: str, filled: Filled, params: Mapping[str, Any], run: Mapping[str, str], *, is_whole: bool = False
) -> Any:
    """What a reference stands for."""
    if name in params:
        filled.names.add(name)
        return params[name]
    kind, colon, rest = name.partition(":")
    if kind == "secret" and colon:
        if not secret_names(f"${{{name}}}"):
            raise Unknown(name, "a secret's name has letters, digits and _, at most 64, and begins with no digit")
        filled.has_secret = True
        return f"${{{name}}}"
    if kind == "env" and colon:
        filled.is_outside_text = is_whole
        return _variable(name)
    if name.removeprefix("run.") in run and name.startswith("run."):
        filled.has_run_id |= name == "run.id"
        filled.has_run_date |= name == "run.date"
        return run[name.removeprefix("run.")]
    raise Unknown(name, _meant(name, params))


def _meant(name: str, params: Mapping[str, Any]) -> str:
    """What one who knows defaults from a shell, or forgot `env:`, may have meant; empty where nothing tells."""
    first, is_default, default = name.partition(":-")
    if not is_default or first in ("env", "secret"):
        return f"expected ${{env:{name}}}" if name in os.environ else ""
    if first in params:
        return f"a parameter has its default under params; write ${{{first}}}"
    return f"a default goes with a variable of the environment; write ${{env:{first}:-{default}}}"


def _variable(name: str) -> str:
    match = _VARIABLE.fullmatch(name)
    if not match:
        raise Unknown(name, "expected ${env:NAME} or ${env:NAME:-default}")
    variable, default = match.groups()
    if variable.startswith(SECRET_VARIABLE):
        secret = variable.removeprefix(SECRET_VARIABLE)
        raise Unknown(name, f"a secret does not belong in a notebook; write ${{secret:{secret}}}")
    value = os.environ.get(variable)
    if not value and default is not None:
        return default
    if value is None:
        raise Unknown(name, f"the environment has no {variable}; set it, or write ${{env:{variable}:-default}}")
    return value
