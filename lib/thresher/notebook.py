"""What a notebook asks for: the names, types and defaults in its `parameters` cell.

The cell is read as text, without a kernel: plain assignments, `name: type = default  # comment`. A name with a type
and no default is a parameter that must be given; so is one of type `Sample[…]`, whose default stands for the sample
data and serves a run by hand only.
"""

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thresher.errors import ParameterError

_PLAIN: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "Landing": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "list": lambda value: isinstance(value, list),
    "dict": lambda value: isinstance(value, dict),
    "None": lambda value: value is None,
    "Any": lambda value: True,
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook. `kind` is its type as an expression, `default` a value where it is a literal."""

    name: str
    kind: ast.expr
    is_required: bool
    default: Any

    @property
    def type(self) -> str:
        """The type as it is written: `str`, `list[str]`, `int | None`, …"""
        return ast.unparse(self.kind)

    def accepts(self, value: Any) -> bool:
        """Whether a value has the parameter's type; a whole number is a float too, true and false are no numbers."""
        return _accepts(self.kind, value)

    @property
    def is_landing(self) -> bool:
        """Whether the value names landing files."""
        return any(_name(node) == "Landing" for node in ast.walk(self.kind))


@dataclass(frozen=True)
class Contract:
    """What a notebook asks for, and how many cells it runs."""

    parameters: Mapping[str, Parameter]
    code_cells: int


def read_contract(notebook: Path) -> Contract:
    """Read a notebook's parameters without running it.

    Raises ParameterError where there is no cell tagged `parameters`, or where it is not plain assignments.
    """
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
        sources = [(cell, "".join(cell["source"])) for cell in cells]
    except (ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{notebook.name} is no notebook (nbformat 4): {error!r}") from error
    tagged = [source for cell, source in sources if "parameters" in cell.get("metadata", {}).get("tags", ())]
    if len(tagged) != 1:
        raise ParameterError(
            f"{notebook.name}: {len(tagged) or 'no'} cells tagged 'parameters', expected one. "
            f"In JupyterLab: select the cell, Property Inspector, Add Tag."
        )
    code_cells = sum(cell.get("cell_type") == "code" and bool(source.strip()) for cell, source in sources)
    try:
        return Contract(parameters(tagged[0]), code_cells)
    except SyntaxError as error:
        raise ParameterError(
            f"{notebook.name}: line {error.lineno} of the cell 'parameters' is no Python: {error.msg}. "
            f"Expected plain assignments: name: type = default  # comment"
        ) from error


def parameters(source: str) -> dict[str, Parameter]:
    """The parameters that a cell's source declares, by name. Raises SyntaxError.

    >>> found = parameters("key: list[str]  # columns\\nyear: int | None = None\\nlimit = 10")
    >>> [(each.name, each.type, each.is_required) for each in found.values()]
    [('key', 'list[str]', True), ('year', 'int | None', False), ('limit', 'int', False)]
    """
    found = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=value):
                is_sample = isinstance(kind, ast.Subscript) and _name(kind.value) == "Sample"
                kind = kind.slice if isinstance(kind, ast.Subscript) and is_sample else kind
                found[name] = Parameter(name, _checked(kind), value is None or is_sample, _literal(value))
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = Parameter(name, _kind_of(_literal(value)), False, _literal(value))
    return found


def _literal(value: ast.expr | None) -> Any:
    try:
        return None if value is None else ast.literal_eval(value)
    except ValueError:
        return None


def _kind_of(default: Any) -> ast.expr:
    name = type(default).__name__
    return ast.Name(name if name in _PLAIN and default is not None else "Any")


def _name(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Constant(value=None):
            return "None"
    return None


def _checked(kind: ast.expr) -> ast.expr:
    """The annotation, written-as-text ones parsed; raises SyntaxError for a type that no YAML value has."""
    if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
        kind = ast.parse(kind.value, mode="eval").body
    try:
        _accepts(kind, None)
    except LookupError:
        problem = f"type {ast.unparse(kind)!r} is not one of {', '.join(_PLAIN)}, Literal, list[…], dict[…], … | None"
        raise SyntaxError(problem, ("", kind.lineno, 0, "")) from None
    return kind


def _accepts(kind: ast.expr, value: Any) -> bool:
    match kind:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            # Both sides are looked at, so that an unknown type is found whatever the value.
            return any([_accepts(left, value), _accepts(right, value)])
        case ast.Subscript(value=outer, slice=inner):
            return _accepts_generic(_name(outer), inner, value)
    return _PLAIN[_name(kind) or ""](value)


def _accepts_generic(outer: str | None, inner: ast.expr, value: Any) -> bool:
    members = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    match outer:
        case "Literal":
            return value in [_literal(member) for member in members]
        case "Optional":
            return any([value is None, _accepts(inner, value)])
        case "list" if len(members) == 1:
            _accepts(inner, None)
            return isinstance(value, list) and all(_accepts(inner, each) for each in value)
        case "dict" if len(members) == 2:
            key, item = members
            any([_accepts(key, None), _accepts(item, None)])
            return isinstance(value, dict) and all(_accepts(key, k) and _accepts(item, v) for k, v in value.items())
    raise LookupError(outer)
