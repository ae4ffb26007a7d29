"""A Python file as what it defines and what each definition uses; read as text, never run.

Comments, docstrings and layout do not count: a definition whose code is the same has the same hash.
"""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from thresher.fingerprints.inputs import is_read_only

BODY = "<body>"  # the definition that stands for what a module does when it is imported
# Decorators that only change the definition below them. Others may enter it in a table, which is work at import.
_QUIET = frozenset(
    {"abstractmethod", "cache", "cached_property", "contextmanager", "dataclass", "final", "lru_cache", "overload"}
    | {"runtime_checkable", "total_ordering", "wraps", "compiled", "entry", "inlined"}
)
_QUIET_MODULES = ("abc", "contextlib", "dataclasses", "functools", "thresher.compiled", "typing")
_BUILTIN = frozenset({"classmethod", "property", "staticmethod"})
# A class below any other may be entered in a table by its base's __init_subclass__.
_QUIET_BASES = frozenset(
    {"ABC", "Enum", "Generic", "IntEnum", "NamedTuple", "Protocol", "StrEnum", "TypedDict", "object"}
)
_DYNAMIC = frozenset({"__import__", "eval", "exec", "import_module", "run_module", "run_path"})


@dataclass
class Definition:
    """One function, class or constant: the hash of its code, the dotted names that it uses, the files that it names."""

    hash: str
    uses: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


@dataclass
class Module:
    """What a file defines, and what its names stand for.

    `names` maps a name that was imported to what it may stand for: `module` or `module:attribute`. `imports` are the
    modules that are run when this one is, `stars` those of which it takes all names. `is_dynamic` tells that it
    imports by names that only a run would know.
    """

    definitions: dict[str, Definition] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)
    stars: list[str] = field(default_factory=list)
    is_dynamic: bool = False


def read(source: str, package: str = "") -> Module:
    """The definitions of a module's source. `package` is what relative imports begin at. Raises SyntaxError.

    >>> module = read("import math as m\\ndef area(r):\\n    return m.pi * square(r)\\ndef square(x): return x * x")
    >>> module.definitions["area"].uses, module.names
    (['m.pi', 'square', 'r'], {'m': ['math']})
    """
    tree = ast.parse(source)
    module = Module()
    body: list[ast.stmt] = []
    for statement in _statements(tree.body, module, package):
        names = _defined(statement)
        for name in names:
            _add(module, name, [statement], package)
        if not names or _has_effect(statement, module):
            body.append(statement)
    _add(module, BODY, body, package)
    return module


def _statements(body: Sequence[ast.stmt], module: Module, package: str) -> Iterator[ast.stmt]:
    """The statements of a module without its imports, which are noted, as are those in `try`, `if` and `with`."""
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            _note_import(statement, module, package)
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
            for each in statement.body:
                if isinstance(each, ast.Import | ast.ImportFrom):
                    _note_names(each, module, package)
            continue
        for each in _below(statement):
            _note_import(each, module, package)
        yield statement


def _below(statement: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run with a statement: not those inside a function or class that it defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        else:
            yield from _below(child)


def _note_import(statement: ast.Import | ast.ImportFrom, module: Module, package: str) -> None:
    _note_names(statement, module, package)
    module.imports += _modules(statement, package)
    if isinstance(statement, ast.ImportFrom) and any(name.name == "*" for name in statement.names):
        module.stars.append(_origin(statement, package))


def _note_names(statement: ast.Import | ast.ImportFrom, module: Module, package: str) -> None:
    for name, target in _imported(statement, package).items():
        module.names.setdefault(name, []).append(target)


def _add(module: Module, name: str, statements: Sequence[ast.stmt], package: str) -> None:
    code, uses, files = hashlib.sha256(), dict[str, None](), dict[str, None]()
    for statement in statements:
        nodes = list(ast.walk(statement))
        _drop_docstrings(nodes)
        code.update(ast.dump(statement).encode("utf-8", "backslashreplace"))
        local: dict[str, str] = {}
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                local |= _imported(node, package)
            module.is_dynamic |= _is_dynamic(node)
            if isinstance(node, ast.Constant) and is_read_only(node.value):
                files[str(node.value)] = None
            if isinstance(node, ast.Call) and _last_name(node) in _DYNAMIC and _is_constant_call(node):
                uses[f"={node.args[0].value}"] = None  # type: ignore[attr-defined]
        for dotted in _dotted_names(nodes):
            first, _, rest = dotted.partition(".")
            target = local.get(first)
            # What a function imports for itself is named in full, with a colon where the module ends.
            uses[dotted if target is None else f"={target}{'.' if rest else ''}{rest}"] = None
        uses |= dict.fromkeys(f"!{target}" for target in local.values())  # run, whatever is used of them
    before = module.definitions.get(name)
    if before:  # defined in several ways, one of which holds
        code.update(before.hash.encode())
        uses, files = dict.fromkeys([*before.uses, *uses]), dict.fromkeys([*before.files, *files])
    module.definitions[name] = Definition(code.hexdigest()[:16], list(uses), list(files))


def _defined(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [name for target in targets for name in _bound(target)]
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _bound(target: ast.expr) -> list[str]:
    """The names that an assignment binds: not those of which it changes an item or an attribute."""
    match target:
        case ast.Name(id=name):
            return [name]
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [name for part in parts for name in _bound(part)]
        case ast.Starred(value=value):
            return _bound(value)
    return []


def _has_effect(statement: ast.stmt, module: Module) -> bool:
    """Whether a definition may do more, when the module is imported, than define its name."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return any(not _is_quiet(each, module) for each in statement.decorator_list)
    if isinstance(statement, ast.ClassDef):
        bases = [_last_name(base.value if isinstance(base, ast.Subscript) else base) for base in statement.bases]
        plain = all(name in _QUIET_BASES or name.endswith(("Error", "Exception", "Warning")) for name in bases)
        return not plain or bool(statement.keywords) or any(not _is_quiet(x, module) for x in statement.decorator_list)
    if isinstance(statement, ast.Assign):
        return any(isinstance(node, ast.Subscript | ast.Attribute) for node in statement.targets)
    return False


def _is_quiet(decorator: ast.expr, module: Module) -> bool:
    """Whether a decorator is one of Python's own, or Thresher's, that only changes what stands below it."""
    name = _last_name(decorator)
    if name in ("getter", "setter", "deleter"):
        return True
    first = next(_dotted_names(list(ast.walk(decorator))), "").partition(".")[0]
    targets = module.names.get(first)
    if targets is None:
        return name in _BUILTIN and name not in module.definitions
    return name in _QUIET and all(target.partition(":")[0].startswith(_QUIET_MODULES) for target in targets)


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
