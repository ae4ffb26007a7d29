"""A Python file as what it defines and what each definition uses; read as text, never run.

Comments, docstrings and layout do not count: a definition whose code is the same has the same hash.
"""

import ast
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePath

from thresher.fingerprints.inputs import is_read_only

SUBCLASSES = "__subclasses__"
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
_DYNAMIC = frozenset(
    {"__import__", "eval", "exec", "import_module", "locate", "resolve_name", "run_module", "run_path"}
)
_OF_FRAMES = frozenset({"eval", "exec"})  # methods of data frames and connections have these names, too
_SCRIPTS = re.compile(r"[\w./*-]+\.(?:py|ipynb)\b")
_RUN_MODULES = re.compile(r"(?<!\S)-m\s+([\w.]+)")
_AT = re.compile(r"@([^\W\d]\w*)")  # a name in a text that pandas evaluates
_PATHS = ("sys.path", "site.addsitedir", "os.chdir")


@dataclass
class Definition:
    """One function, class or constant: the hash of its code, the dotted names that it uses, the files that it names.

    The name `*` stands for all that its module has, a `*` in a file for what only a run would know.
    """

    hash: str
    uses: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


@dataclass
class Module:
    """What a file defines, and what its names stand for.

    `names` maps a name that was imported to what it may stand for: `module` or `module:attribute`. `imports` are the
    modules that are run when this one is, `stars` those of which it takes all names. `is_dynamic` tells that it
    imports by names that only a run would know, `changes_path` that it has modules looked for elsewhere: in `paths`, as
    far as they stand there.
    """

    definitions: dict[str, Definition] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)
    stars: list[str] = field(default_factory=list)
    is_dynamic: bool = False
    changes_path: bool = False
    paths: list[str] = field(default_factory=list)


class Quiet:
    """What a module has defined so far that does nothing but define what stands below it: base classes, decorators."""

    def __init__(self) -> None:
        self.classes: set[str] = set()
        self._decorators: set[str] = set()
        self._factories: set[str] = set()

    def note(self, statement: ast.stmt, names: Sequence[str], module: Module) -> None:
        """A definition that has no effect; what had its name before counts no more."""
        for known in (self.classes, self._decorators, self._factories):
            known.difference_update(names)
        if isinstance(statement, ast.ClassDef):
            if not any(_defined(each) == ["__init_subclass__"] for each in statement.body):
                self.classes.add(statement.name)
        elif isinstance(statement, ast.FunctionDef) and not statement.decorator_list:
            inner = _only_wraps(statement, module)
            if inner:
                self._decorators.add(statement.name)
            if inner and all(_only_wraps(each, module) for each in inner):
                self._factories.add(statement.name)

    def wraps(self, decorator: ast.expr) -> bool:
        """Whether a decorator is one that gives back a function around the one below it, and does nothing else."""
        if isinstance(decorator, ast.Call):
            is_plain = not any(isinstance(each, ast.Call) for each in ast.walk(decorator) if each is not decorator)
            return is_plain and isinstance(decorator.func, ast.Name) and decorator.func.id in self._factories
        return isinstance(decorator, ast.Name) and decorator.id in self._decorators


def _only_wraps(function: ast.FunctionDef, module: Module) -> list[ast.FunctionDef]:
    """The functions that a function defines, where it does nothing but define them and return one; else none."""
    found: list[ast.FunctionDef] = []
    for statement in function.body:
        match statement:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.FunctionDef(decorator_list=decorators, args=arguments) if all(
                _is_quiet(each, module) for each in decorators
            ) and not any(isinstance(each, ast.Call) for each in ast.walk(arguments)):
                found.append(statement)
            case ast.Return(value=ast.Name(id=name)) if name in {each.name for each in found}:
                continue
            case _:
                return []
    return found


def read(source: str, package: str = "", is_own: Callable[[str], bool] | None = None) -> Module:
    """The definitions of a module's source. `package` is what relative imports begin at. Raises SyntaxError.

    `is_own` tells of a module's first name whether the project has it: what is called of it to make a constant may do
    more than that. Without it, no call does.

    >>> module = read("import math as m\\ndef area(r):\\n    return m.pi * square(r)\\ndef square(x): return x * x")
    >>> module.definitions["area"].uses, module.names
    (['m.pi', 'square', 'r'], {'m': ['math']})
    """
    tree = ast.parse(source)
    module, quiet = Module(), Quiet()
    body: list[ast.stmt] = []
    for statement in _statements(tree.body, module, package):
        names = _defined(statement)
        has_effect = _has_effect(statement, module, quiet) or _calls_own(statement, module, is_own)
        for name in names:
            _add(module, name, [statement], package)
        if not names or has_effect:
            body.append(statement)
        else:
            quiet.note(statement, names, module)
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
        yield from _taken_out(statement)
        yield statement


def _taken_out(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The functions and classes in the branches of `if` and `try`, which keep a mark in their place."""
    blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    blocks += [handler.body for handler in getattr(statement, "handlers", [])]
    for block in blocks if isinstance(statement, ast.If | ast.Try) else ():
        for place, each in enumerate(block):
            yield from _taken_out(each)
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                block[place] = ast.Expr(ast.Constant(f"def {each.name}"))
                yield each


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
        nodes += _evaluated(nodes)
        code.update(ast.dump(statement).encode("utf-8", "backslashreplace"))
        local: dict[str, str] = {}
        _note_paths(nodes, module)
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                local |= _imported(node, package)
            module.is_dynamic |= _is_dynamic(node)
            if isinstance(node, ast.Call) and _last_name(node) in _DYNAMIC - _OF_FRAMES and _is_constant_call(node):
                uses[f"={_absolute(str(node.args[0].value), package)}"] = None  # type: ignore[attr-defined]
        for text in _texts(nodes):
            is_path = bool(PurePath(text).suffix) and (is_read_only(text) or is_script(text))  # not ".sql" alone
            files |= dict.fromkeys([text] if is_path else _SCRIPTS.findall(text))
            uses |= dict.fromkeys(f"={name}.__main__" for name in _RUN_MODULES.findall(text))
            uses |= dict.fromkeys(_AT.findall(text))
        if _takes_all_names(nodes):
            uses["*"] = None
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


def _has_effect(statement: ast.stmt, module: Module, quiet: Quiet) -> bool:
    """Whether a definition may do more, when the module is imported, than define its name."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return any(not _is_quiet(each, module, quiet) for each in statement.decorator_list)
    if isinstance(statement, ast.ClassDef):
        bases = [base.value if isinstance(base, ast.Subscript) else base for base in statement.bases]
        plain = all(_is_plain_base(base, module, quiet) for base in bases)
        inner = [each for method in statement.body for each in getattr(method, "decorator_list", ())]
        decorators = [*statement.decorator_list, *inner]
        return not plain or bool(statement.keywords) or any(not _is_quiet(each, module, quiet) for each in decorators)
    if isinstance(statement, ast.Assign):
        return any(isinstance(node, ast.Subscript | ast.Attribute) for node in statement.targets)
    # What another module has may be changed in its place: `HANDLERS += [clean]`.
    return isinstance(statement, ast.AugAssign) and any(name in module.names for name in _defined(statement))


def _is_plain_base(base: ast.expr, module: Module, quiet: Quiet) -> bool:
    """Whether a class below this one is defined, and nothing else happens."""
    name = _last_name(base)
    if name in module.definitions:
        return isinstance(base, ast.Name) and name in quiet.classes
    return name in _QUIET_BASES or name.endswith(("Error", "Exception", "Warning"))


def _calls_own(statement: ast.stmt, module: Module, is_own: Callable[[str], bool] | None) -> bool:
    """Whether the value of a constant, or a class's attribute, is made by the project's own code, or hands some out."""
    if is_own is None:
        return False
    values: list[ast.AST] = [statement]
    if isinstance(statement, ast.ClassDef):
        values = [each for each in statement.body if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        values = [*statement.args.defaults, *filter(None, statement.args.kw_defaults)]
    calls = [each for value in values for each in ast.walk(value) if isinstance(each, ast.Call)]
    names = {name.partition(".")[0] for call in calls for name in _dotted_names(list(ast.walk(call)))}
    return any(_is_of_project(name, module, is_own) for name in names)


def _is_of_project(name: str, module: Module, is_own: Callable[[str], bool]) -> bool:
    targets = module.names.get(name, ())
    return name in module.definitions or any(is_own(target.partition(":")[0].partition(".")[0]) for target in targets)


def _is_quiet(decorator: ast.expr, module: Module, quiet: Quiet | None = None) -> bool:
    """Whether a decorator only changes what stands below it: one of Python's own, or one that is seen to wrap."""
    name = _last_name(decorator)
    if quiet and quiet.wraps(decorator):
        return True
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


def _texts(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """The texts, with `*` for each value in an f-string; the words of a list as one: `[python, "-m", "clean"]`."""
    inner = set[ast.AST]()
    for node in nodes:  # from the outside in
        if isinstance(node, ast.JoinedStr):
            inner.update(node.values)
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "*" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inner:
            yield node.value
        words = node.elts if isinstance(node, ast.List | ast.Tuple) else node.args if isinstance(node, ast.Call) else []
        for option, name in zip(words, words[1:], strict=False):
            if isinstance(option, ast.Constant) and option.value == "-m" and isinstance(name, ast.Constant):
                yield f"-m {name.value!s}"


def _evaluated(nodes: Sequence[ast.AST]) -> list[ast.AST]:
    """What stands in the texts that are given to `eval` and `exec`."""
    found: list[ast.AST] = []
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id="eval" | "exec"), args=[ast.Constant(value=str(text)), *_]):
                with suppress(SyntaxError, ValueError):
                    found += ast.walk(ast.parse(text.strip()))
    return found


def _takes_all_names(nodes: Sequence[ast.AST]) -> bool:
    """Whether code may find what its module has by names made at run time, or all classes below one."""
    names = set(_dotted_names(nodes))
    is_listed = any(isinstance(node, ast.Attribute) and node.attr == SUBCLASSES for node in nodes)
    bare = any(isinstance(node, ast.Call) and _last_name(node) == "vars" and not node.args for node in nodes)
    return is_listed or bare or "globals" in names or {"sys.modules", "__name__"} <= names


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


def _absolute(name: str, package: str) -> str:
    """A name that may begin at a package: `import_module(".prices", __package__)`.

    >>> _absolute("..b:f", "shop.a"), _absolute("b", "shop.a")
    ('shop.b:f', 'b')
    """
    rest = name.lstrip(".")
    level = len(name) - len(rest)
    return ".".join([*package.split(".")[: 1 - level or None], rest]) if level and package else name


def _note_paths(nodes: Sequence[ast.AST], module: Module) -> None:
    """Note whether modules are looked for elsewhere from here on, and where."""
    names = list(_dotted_names(nodes))
    known = [target.replace(":", ".") for name in names for target in module.names.get(name.partition(".")[0], ())]
    if any(name.startswith(_PATHS) for name in (*names, *known)):
        module.changes_path = True
        texts = (each.value for each in nodes if isinstance(each, ast.Constant))
        module.paths += [text for text in texts if isinstance(text, str) and "\n" not in text]


def is_script(value: object) -> bool:
    """Whether a value is the path of Python code: a script, or a notebook.

    >>> is_script("tools/clean.py"), is_script("x = 1  # see clean.py"), is_script(7)
    (True, False, False)
    """
    return isinstance(value, str) and value.endswith((".py", ".ipynb")) and not set(value) & set(" \n")


def _is_dynamic(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or _last_name(node) not in _DYNAMIC or _is_constant_call(node):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr in _OF_FRAMES:
        return False
    # A script that is named here is followed: exec(open("clean.py").read())
    return not any(isinstance(each, ast.Constant) and is_script(each.value) for each in ast.walk(node))


def _is_constant_call(node: ast.Call) -> bool:
    return bool(node.args) and isinstance(node.args[0], ast.Constant)


def _drop_docstrings(nodes: Sequence[ast.AST]) -> None:
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and len(node.body) > 1:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                del node.body[0]
