"""What a notebook asks for: the names, types and defaults in its `parameters` cell.

The cell is read as text, without a kernel: plain assignments, `name: type = default  # comment`. A name with a type
and no default is a parameter that must be given; so is one of type `Sample[…]`, whose default stands for the sample
data and serves a run by hand only.
"""

import ast
import io
import json
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from thresher.errors import ParameterError
from thresher.parameters import types


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook. `kind` is its type as an expression, `default` a value where it is a literal."""

    name: str
    kind: ast.expr
    is_required: bool
    default: Any
    help: str = ""

    @property
    def type(self) -> str:
        """The type as a reader wants it: `str`, `list[str]`, `int (≥ 1, ≤ 12) | None`, …"""
        return types.shown(self.kind)

    def accepts(self, value: Any) -> bool:
        """Whether a value has the parameter's type; a whole number is a float too, true and false are no numbers."""
        return types.accepts(self.kind, value)

    @cached_property
    def is_landing(self) -> bool:
        """Whether the value names landing files."""
        return types.names(self.kind, "Landing")

    @cached_property
    def is_secret(self) -> bool:
        """Whether the value refers to a secret."""
        return types.names(self.kind, "Secret")

    @property
    def takes_text(self) -> bool:
        """Whether some text is a value."""
        is_choice = any(isinstance(choice, str) for choice in types.choices(self.kind))
        is_list = any(types.names(self.kind, name) for name in ("list", "dict"))
        return not is_list and (is_choice or any(types.names(self.kind, name) for name in ("str", "Landing", "Date")))

    @property
    def is_any(self) -> bool:
        """Whether every value will do."""
        return types.name_of(self.kind) == "Any"


@dataclass(frozen=True)
class Contract:
    """What a notebook asks for, and how many cells it runs."""

    parameters: Mapping[str, Parameter]
    code_cells: int


def code_of(notebook: Path) -> list[str]:
    """The sources of a notebook's code cells. Raises ParameterError where it is no notebook."""
    return [source for cell, source in _cells(notebook) if cell.get("cell_type") == "code" and source.strip()]


def read_contract(notebook: Path) -> Contract:
    """Read a notebook's parameters without running it.

    Raises ParameterError where there is no cell tagged `parameters`, or where it is not plain assignments.
    """
    sources = _cells(notebook)
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


def _cells(notebook: Path) -> list[tuple[dict[str, Any], str]]:
    """Each cell with its source."""
    try:
        found = json.loads(notebook.read_bytes())
        if found["nbformat"] != 4 or not isinstance(found["metadata"], dict):
            raise ValueError(f"nbformat {found['nbformat']}")
        return [(cell, "".join(cell["source"])) for cell in found["cells"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{notebook.name} is no notebook (nbformat 4): {error!r}") from error


def parameters(source: str) -> dict[str, Parameter]:
    """The parameters that a cell's source declares, by name. Raises SyntaxError.

    >>> found = parameters("key: list[str]  # columns\\nyear: int | None = None\\nlimit = 10")
    >>> [(each.name, each.type, each.is_required, each.help) for each in found.values()]
    [('key', 'list[str]', True, 'columns'), ('year', 'int | None', False, ''), ('limit', 'int', False, '')]
    """
    found = {}
    comments = _comments(source)
    for statement in ast.parse(source).body:
        lines = range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
        text = next((comments[line] for line in lines if line in comments), "")
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=value):
                is_sample = isinstance(kind, ast.Subscript) and types.name_of(kind.value) == "Sample"
                kind = kind.slice if isinstance(kind, ast.Subscript) and is_sample else kind
                default = types.literal(value)
                found[name] = Parameter(name, types.checked(kind), value is None or is_sample, default, text)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                default = types.literal(value)
                found[name] = Parameter(name, types.kind_of(default), False, default, text)
    return found


def _comments(source: str) -> dict[int, str]:
    """The comment of each line that has one."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    try:
        return {each.start[0]: each.string.lstrip("# ") for each in tokens if each.type == tokenize.COMMENT}
    except tokenize.TokenError:  # the parser tells what is wrong
        return {}
