"""A Python file as what it defines and what each definition uses; read as text, never run.

Comments, docstrings and layout do not count: a definition whose code is the same has the same hash.
"""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

BODY = "<body>"  # the definition that stands for what a module does when it is imported
# Decorators that only change the definition below them. Others may enter it in a table, which is work at import.
_QUIET = frozenset(
    {"abstractmethod", "cache", "cached_property", "classmethod", "contextmanager", "dataclass", "final", "lru_cache"}
    | {"overload", "property", "runtime_checkable", "staticmethod", "total_ordering", "wraps", "compiled", "entry"}
)
_DYNAMIC = frozenset({"__import__", "eval", "exec", "import_module", "run_module", "run_path"})


@dataclass
class Definition:
    """One function, class or constant: the hash of its code, and the dotted names that it uses."""

    hash: str
    uses: list[str] = field(default_factory=list)


@dataclass
class Module:
    """What a file defines, and what its names stand for.

    `names` maps a name that was imported to what it stands for: `module` or `module:attribute`. `imports` are the
    modules that are run when this one is. `is_dynamic` tells that it imports by names that only a run would know.
    """

    definitions: dict[str, Definition] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)
    is_dynamic: bool = False


def read(source: str, package: str = "") -> Module:
    """The definitions of a module's source. `package` is what relative imports begin at. Raises SyntaxError.

    >>> module = read("import math as m\\ndef area(r):\\n    return m.pi * square(r)\\ndef square(x): return x * x")
    >>> module.definitions["area"].uses, module.names
    (['m.pi', 'square', 'r'], {'m': 'math'})
    """
    tree = ast.parse(source)
    module = Module()
    body: list[ast.stmt] = []
    for statement in _statements(tree.body, module, package):
        names = _defined(statement)
        if names:
            for name in names:
                _add(module, name, [statement], package)
        if not names or _has_effect(statement):
            body.append(statement)
    _add(module, BODY, body, package)
    return module


def _statements(body: Sequence[ast.stmt], module: Module, package: str) -> Iterator[ast.stmt]:
    """The statements of a module, without its imports, which are noted."""
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            module.names |= _imported(statement, package)
            module.imports += _modules(statement, package)
            module.is_dynamic |= any(name.name == "*" for name in statement.names)
        elif isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
            for each in statement.body:
                if isinstance(each, ast.Import | ast.ImportFrom):
                    module.names |= _imported(each, package)
        else:
            yield statement


def _add(module: Module, name: str, statements: Sequence[ast.stmt], package: str) -> None:
    code, uses = hashlib.sha256(), dict[str, None]()
    for statement in statements:
        nodes = list(ast.walk(statement))
        _drop_docstrings(nodes)
        code.update(ast.dump(statement).encode("utf-8", "backslashreplace"))
        local: dict[str, str] = {}
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                local |= _imported(node, package)
            module.is_dynamic |= _is_dynamic(node)
        for dotted in _dotted_names(nodes):
            first, _, rest = dotted.partition(".")
            target = local.get(first)
            # What a function imports for itself is named in full, with a colon where the module ends.
            uses[dotted if target is None else f"={target}{'.' if rest else ''}{rest}"] = None
        uses |= dict.fromkeys(f"={target}" for target in local.values())
    before = module.definitions.get(name)
    if before:  # defined in several ways, one of which holds
        code.update(before.hash.encode())
        uses = dict.fromkeys([*before.uses, *uses])
    module.definitions[name] = Definition(code.hexdigest()[:16], list(uses))


def _defined(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _has_effect(statement: ast.stmt) -> bool:
    """Whether a definition may do more, when the module is imported, than define its name."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        names = [_last_name(decorator) for decorator in statement.decorator_list]
        return any(name not in _QUIET for name in names)
    return False


def _last_name(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _dotted_names(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """The names that are read, each with the attributes that follow it."""
    inner = set[ast.AST]()
    for node in nodes:  # from the outside in: `a.b.c` comes before `a.b`
        if isinstance(node, ast.Attribute) and node not in inner:
            parts, below = [node.attr], node.value
            while isinstance(below, ast.Attribute):
                inner.add(below)
                parts.append(below.attr)
                below = below.value
            if isinstance(below, ast.Name):
                inner.add(below)
                yield ".".join([below.id, *reversed(parts)])
        elif isinstance(node, ast.Name) and node not in inner:
            yield node.id


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> dict[str, str]:
    if isinstance(node, ast.Import):
        pairs = [(name.asname, name.name) if name.asname else (name.name.partition(".")[0],) * 2 for name in node.names]
        return dict(pairs)
    origin = _origin(node, package)
    return {name.asname or name.name: f"{origin}:{name.name}" for name in node.names}


def _modules(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    origin = _origin(node, package)
    return [origin, *(f"{origin}.{name.name}" for name in node.names)]  # the second where the name is a module


def _origin(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def _is_dynamic(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _last_name(node) in _DYNAMIC and not _is_constant_call(node)


def _is_constant_call(node: ast.Call) -> bool:
    return bool(node.args) and isinstance(node.args[0], ast.Constant)


def _drop_docstrings(nodes: Sequence[ast.AST]) -> None:
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and len(node.body) > 1:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                del node.body[0]
