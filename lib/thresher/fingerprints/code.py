"""The code that a notebook uses: what it calls, what that calls, and so on, in the project's modules and in Thresher's.

What is installed otherwise is covered by the lock file. Names are followed as they are written: a call through
`getattr` or a name made at run time is not seen, so a module of the project that imports by such names counts whole.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from thresher import __version__
from thresher.errors import ParameterError
from thresher.files import replace
from thresher.fingerprints import definitions, inputs
from thresher.fingerprints.cells import as_python
from thresher.fingerprints.definitions import BODY, SUBCLASSES, Definition, Module, is_script
from thresher.fingerprints.python_files import PythonFiles
from thresher.parameters.notebook import code_of
from thresher.project import LIBRARY, resolve

_PACKAGE = Path(__file__).parent.parent
_FORM = 5  # of what is remembered
_DEPTH = 20  # of names that stand for names
_MOST = 1000  # notebooks, or modules, that are remembered
_Node = tuple[str, str]  # a module's name, or a script's path, and the name of a definition in it


class Code:
    """The Python modules of a project, read when they are needed and remembered between processes."""

    def __init__(self, project: Path, beside: Sequence[Path] = ()) -> None:
        self.project = project
        self._places = list(dict.fromkeys([*_places(project), *beside]))
        self._python = PythonFiles(project)
        self._others: dict[tuple[Path, ...], Code] = {}
        self._answers = _Remembered("answers")
        self._read = _Remembered("modules")
        self._files: dict[str, Path | None] = {}
        self._modules: dict[str, Module | None] = {}
        self._edges: dict[_Node, tuple[_Node, ...]] = {}
        self._stamps: dict[str, list[int]] = {}

    def used_by(self, sources: Sequence[str]) -> dict[str, str]:
        """For each file whose code these cells use, by its path in the project, the hash of what they use of it."""
        key = _hash(json.dumps([str(self.project), *sources]))
        known = self._answers.get(key)
        if known and all(self._stamp(path) == stamp for path, stamp in known["looked_at"].items()):
            return dict(known["used"])
        cells = definitions.read(as_python(sources))
        used, looked_at = self._beside(cells.paths)._found(cells)
        if looked_at:
            self._answers.put(key, {"used": used, "looked_at": looked_at})
        return used

    def save(self) -> None:
        """Remember what was found for the next process."""
        self._answers.save()
        self._read.save()

    def _beside(self, paths: Sequence[str]) -> "Code":
        """The same code for a notebook that looks for modules in other folders, too."""
        folders = tuple(dict.fromkeys(Path(os.path.abspath(resolve(path, self.project))) for path in paths if path))
        folders = tuple(each for each in folders if each.is_dir() and each not in self._places)
        if not folders:
            return self
        if folders not in self._others:
            other = self._others[folders] = Code(self.project, folders)
            other._read, other._stamps = self._read, self._stamps
        return self._others[folders]

    def _found(self, cells: Module) -> tuple[dict[str, str], dict[str, list[int]]]:
        """What cells use, and the files and folders on which that depends; none where it may depend on any."""
        nodes = self._reached(cells)
        used = self._hashes(nodes)
        files = {str(self._file(name)) for name, _ in nodes if self._file(name)}
        for name in self._named_files(cells, nodes):
            if is_script(name):
                continue
            path = resolve(name, self.project)
            files.add(str(path))
            if state := inputs.text(path):
                used[name] = state
            else:
                used |= {self._shown(each): inputs.text(each) for each in self._python.named(name)}
        # A module that is new in a folder may stand before one that was found elsewhere, or where none was.
        folders = {*self._places, *(Path(file).parent for file in files)}
        looked_at = sorted(files | {str(folder) for folder in folders if folder.is_dir()})
        return used, {} if self._python.were_asked else {path: self._stamp(path) for path in looked_at}

    def _stamp(self, path: str) -> list[int]:
        if path not in self._stamps:
            try:
                found = os.stat(path)
                self._stamps[path] = [found.st_mtime_ns, found.st_size]
            except OSError:
                self._stamps[path] = []
        return self._stamps[path]

    def _reached(self, module: Module) -> set[_Node]:
        """All definitions that these cells lead to."""
        todo: list[_Node] = [(name, BODY) for name in module.imports]
        todo += (node for name in module.stars for node in self._whole(name))
        for definition in module.definitions.values():
            todo += (node for use in definition.uses for node in self._resolved(use, module))
            todo += self._scripts(definition.files)
        if module.changes_path:
            todo += self._elsewhere(module)
        if module.is_dynamic:
            todo += self._all()
        found: set[_Node] = set()
        while todo:
            node = todo.pop()
            if node not in found:
                found.add(node)
                if node not in self._edges:
                    self._edges[node] = tuple(dict.fromkeys(self._next(node)))
                todo += self._edges[node]
        return found

    def _named_files(self, cells: Module, nodes: Iterable[_Node]) -> Iterator[str]:
        """The files to read that the cells name, and the project's own definitions."""
        for one in cells.definitions.values():
            yield from one.files
        for name, definition in nodes:
            module = self._module(name)
            if module and definition in module.definitions and name.partition(".")[0] != "thresher":
                yield from module.definitions[definition].files

    def _hashes(self, nodes: Iterable[_Node]) -> dict[str, str]:
        by_file: dict[str, list[str]] = {}
        for name, definition in nodes:
            module, file = self._module(name), self._file(name)
            if module and file and definition in module.definitions:
                text = f"{name}:{definition}:{module.definitions[definition].hash}"
                by_file.setdefault(self._shown(file), []).append(text)
        return {file: _hash("\n".join(sorted(texts))) for file, texts in sorted(by_file.items())}

    def _shown(self, file: Path) -> str:
        if file.is_relative_to(self.project) and ".venv" not in file.parts:
            return file.relative_to(self.project).as_posix()
        if not file.is_relative_to(_PACKAGE):
            return str(file)
        return f"thresher/{file.relative_to(_PACKAGE).as_posix()}"

    def _next(self, node: _Node) -> Iterator[_Node]:
        name, definition = node
        module = self._module(name)
        if module is None:
            return
        if definition != BODY:
            yield name, BODY
        else:
            yield from ((parent, BODY) for parent in _parents(name))
            yield from ((imported, BODY) for imported in module.imports)
            for star in module.stars:
                yield from self._whole(star)
            if name != "thresher":  # which names for type checkers what it imports by name
                yield from self._unnamed(name, module)
        found = module.definitions.get(definition, Definition(""))
        for use in found.uses:
            yield from self._resolved(use, module, name)
        if name.partition(".")[0] != "thresher":
            yield from self._scripts(found.files)

    def _unnamed(self, name: str, module: Module) -> Iterator[_Node]:
        """What a module of the project may lead to by names that do not stand in it."""
        is_own = name.partition(".")[0] != "thresher"
        if is_own and (module.changes_path or (module.is_dynamic and "." not in name)):
            yield from self._all()
        elif module.is_dynamic:
            for each in (name, *self._siblings(name)):
                yield from self._whole(each)
        if os.path.isabs(name):  # a script finds what lies beside it
            yield from self._elsewhere(module)

    def _all(self) -> Iterator[_Node]:
        """All code of the project."""
        for path in self._python.all:
            yield from self._whole(str(path))

    def _scripts(self, files: Iterable[str]) -> Iterator[_Node]:
        """The code that is named by its path, or by the end of its path."""
        for name in filter(is_script, files):
            path = resolve(name, self.project)
            for each in [path] if path.is_file() else self._python.named(name):
                yield from self._whole(str(each))

    def _elsewhere(self, module: Module) -> Iterator[_Node]:
        """The modules that a notebook or script imports, wherever else in the project they may be found."""
        for name in dict.fromkeys(each.partition(".")[0] for each in module.imports):
            file = self._file(name)
            own = file.parent if file and file.name == "__init__.py" else file
            for path in self._python.of_module(name) if name not in sys.stdlib_module_names else ():
                if not own or not path.is_relative_to(own):
                    yield from self._whole(str(path))

    def _resolved(self, use: str, module: Module, name: str = "") -> Iterator[_Node]:
        """What a dotted name may stand for in a module."""
        if use.startswith("!"):
            yield from ((node, BODY) for node, _ in self._target(use[1:]))
            return
        if use.startswith("="):
            yield from self._target(use[1:])
            return
        if use == "*":
            yield from self._whole(name)
            yield from (node for targets in module.names.values() for each in targets for node in self._target(each))
            return
        first, _, rest = use.partition(".")
        if first in module.definitions:
            yield name, first
        # `import a.b` binds `a`; `from a import b` may bind a module.
        for target in module.names.get(first, ()):
            yield from self._target(f"{target}.{rest}" if rest else target)
        if first not in module.definitions and first not in module.names:
            for star in module.stars:
                yield from self._target(f"{star}.{use}", is_sure=False)

    def _target(self, target: str, depth: int = 0, *, is_sure: bool = True) -> Iterator[_Node]:
        """The definition that `module:attribute.rest` or `module.attribute.rest` names, if it is in a known module.

        A module that is used as a value counts as a whole; so does one of which a name is used for sure that is not
        found in it.
        """
        parts = [part for part in target.replace(":", ".").split(".") if part]
        name = ""
        while parts and self._is_there(f"{name}.{parts[0]}" if name else parts[0]):
            name = f"{name}.{parts.pop(0)}" if name else parts.pop(0)
        module = self._module(name)
        if module is None:
            return
        yield name, BODY
        if SUBCLASSES in parts:
            yield from self._whole(name)
        if not parts:
            # Thresher's modules are not handed about: where one's name stands alone, it is a variable of that name.
            if not name.startswith("thresher"):
                yield from self._whole(name)
        elif parts[0] in module.definitions or parts[0] in module.names:
            if parts[0] in module.definitions:
                yield name, parts[0]
            for each in module.names.get(parts[0], ()) if depth < _DEPTH else ():
                yield from self._target(".".join([each, *parts[1:]]), depth + 1)
        else:
            for star in module.stars if depth < _DEPTH else ():
                yield from self._target(".".join([star, *parts]), depth + 1, is_sure=False)
            if is_sure and name != "thresher":
                yield from self._whole(name)

    def _whole(self, name: str) -> Iterator[_Node]:
        """All definitions of a module."""
        module = self._module(name)
        if module:
            yield from ((name, each) for each in (BODY, *module.definitions))

    def _siblings(self, name: str) -> Iterator[str]:
        file = self._file(name)
        package = name if file and file.name == "__init__.py" else name.rpartition(".")[0]
        folder = file.parent if file else self.project
        for path in sorted(folder.rglob("*.py")) if package else ():
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")])

    def _module(self, name: str) -> Module | None:
        if name not in self._modules:
            file = self._file(name)
            package = name if file and file.name == "__init__.py" else name.rpartition(".")[0]
            self._modules[name] = self._parsed(file, package) if file else None
        return self._modules[name]

    def _parsed(self, file: Path, package: str) -> Module:
        stamp = [*self._stamp(str(file)), package]
        known = self._read.get(str(file))
        if known and known["stamp"] == stamp:
            return _module_of(known["module"])
        try:
            is_notebook = file.suffix == ".ipynb"
            text = as_python(code_of(file)) if is_notebook else file.read_text("utf-8")
            is_own = self._is_there if package.partition(".")[0] != "thresher" else None
            module = definitions.read(text, package, is_own)
        except (SyntaxError, UnicodeDecodeError, ParameterError):  # it cannot be run as it is; any change of it counts
            module = Module(definitions={BODY: Definition(hashlib.sha256(file.read_bytes()).hexdigest())})
        self._read.put(str(file), {"stamp": stamp, "module": asdict(module)})
        return module

    def _is_there(self, name: str) -> bool:
        """Whether a module is known, or a folder without code of its own that holds modules."""
        parts = name.split(".")
        return bool(self._file(name)) or any(place.joinpath(*parts).is_dir() for place in self._places)

    def _file(self, name: str) -> Path | None:
        """The file of a module in the project or in Thresher; None for all others."""
        if name not in self._files:
            self._files[name] = self._find(name)
        return self._files[name]

    def _find(self, name: str) -> Path | None:
        if os.path.isabs(name):
            return Path(name) if os.path.isfile(name) else None
        first, *rest = name.split(".")
        if not name or not all(part.isidentifier() for part in (first, *rest)):
            return None
        places = [_PACKAGE.parent] if first == "thresher" else self._places
        for place in places:
            path = place.joinpath(first, *rest)
            for candidate in (path / "__init__.py", path.with_name(f"{path.name}.py")):
                if candidate.is_file():
                    return candidate
        return None


def _places(project: Path) -> Iterator[Path]:
    """The folders of a project in which a kernel finds modules, or may be told to, in its order."""
    first = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    for entry in (*first, str(project), *sys.path):
        place = Path(os.path.abspath(entry))
        if entry and place.is_relative_to(project) and ".venv" not in place.parts:
            yield place
    yield from (project / name for name in (LIBRARY, "src", "notebooks"))


class _Remembered:
    """What was found before, by key: a file in the user's cache folder, read when something is asked for."""

    def __init__(self, name: str) -> None:
        version = f"{__version__}-{sys.version_info[0]}.{sys.version_info[1]}"
        self._path = user_cache_path("thresher") / f"code-{name}-{version}-{_FORM}.json"
        self._is_changed = False

    @cached_property
    def _known(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._path.read_text("utf-8")))
        except (OSError, ValueError):
            return {}

    def get(self, key: str) -> Any:
        return self._known.get(key)

    def put(self, key: str, value: Any) -> None:
        self._known.pop(key, None)  # what was put last stands last: the first are dropped
        self._known[key] = value
        self._is_changed = True

    def save(self) -> None:
        if self._is_changed:
            with suppress(OSError):  # it is found again next time
                kept = dict(list(self._known.items())[-_MOST:])
                replace(self._path, json.dumps(kept).encode())


def _module_of(known: dict[str, object]) -> Module:
    fields = dict(known)
    fields["definitions"] = {name: Definition(**each) for name, each in fields["definitions"].items()}  # type: ignore[attr-defined]
    return Module(**fields)  # type: ignore[arg-type]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name
