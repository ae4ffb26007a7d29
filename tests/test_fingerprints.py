"""What a notebook uses of the project's code, followed without running it."""

import os
from pathlib import Path

import nbformat
import pytest

from thresher.fingerprints.code import Code


@pytest.fixture(autouse=True)
def no_cache_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


MODULES = {
    "lib/shop/__init__.py": "from shop.prices import net\n",
    "lib/shop/prices.py": """\
        import math
        from shop import taxes
        RATE = 19

        def net(gross):
            return taxes.without(gross, RATE)

        def rounded(x):
            return math.floor(x)
        """,
    "lib/shop/taxes.py": """\
        def without(gross, rate):
            "Gross without tax."
            return gross / (1 + rate / 100)

        def unused():
            return 1
        """,
    "lib/shop/rules.py": """\
        RULES = []

        def rule(function):
            RULES.append(function)
            return function

        @rule
        def cheap(x):
            return x < 10

        def check(x):
            return all(each(x) for each in RULES)
        """,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        write(tmp_path, name, text)
    return tmp_path


def write(project: Path, name: str, text: str) -> None:
    lines = [line.removeprefix("        ") for line in text.splitlines()]
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def changed(project: Path, cells: list[str], name: str, old: str, new: str) -> list[str]:
    """The files that count as changed for a notebook with these cells when one text in a file is replaced."""
    before = Code(project).used_by(cells)
    path = project / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    after = Code(project).used_by(cells)
    return sorted(file for file in {**before, **after} if before.get(file) != after.get(file))


NET = ["import shop", "shop.net(5)"]
REGISTRY = "TABLE = {}\ndef add(f):\n    TABLE[1] = f\n    return f\n"


@pytest.mark.parametrize(
    ("cells", "name", "old", "new", "expected"),
    [
        (NET, "lib/shop/prices.py", "taxes.without(gross, RATE)", "gross", ["lib/shop/prices.py", "lib/shop/taxes.py"]),
        (NET, "lib/shop/prices.py", "RATE = 19", "RATE = 7", ["lib/shop/prices.py"]),
        (NET, "lib/shop/taxes.py", "1 + rate", "2 + rate", ["lib/shop/taxes.py"]),
        (NET, "lib/shop/taxes.py", "Gross without", "The price without", []),
        (NET, "lib/shop/taxes.py", "def unused", "# a note\ndef unused", []),
        (NET, "lib/shop/taxes.py", "return 1\n", "return 2\n", []),
        (NET, "lib/shop/prices.py", "math.floor(x)", "math.ceil(x)", []),
        (NET, "lib/shop/rules.py", "x < 10", "x < 11", []),
        (["from shop.rules import check", "check(1)"], "lib/shop/rules.py", "x < 10", "x < 11", ["lib/shop/rules.py"]),
        (["from shop import taxes as t", "t.without(1, 2)"], "lib/shop/taxes.py", "/ 100", "", ["lib/shop/taxes.py"]),
        (["def f():\n    import shop.taxes\n    return shop.taxes.unused()"],)
        + ("lib/shop/taxes.py", "1\n", "2\n")
        + (["lib/shop/taxes.py"],),
        (["%matplotlib inline", "import shop", "!ls", "shop.net(1)"],)
        + ("lib/shop/prices.py", "19", "20")
        + (["lib/shop/prices.py"],),
    ],
    ids=["a function called", "a constant", "a function called by it", "a docstring", "a comment", "an unused function"]
    + ["another unused one", "a module not imported", "what a decorator registers", "by another name", "in a function"]
    + ["beside magics"],
)
def test_what_counts_as_a_change_of_code(
    project: Path, cells: list[str], name: str, old: str, new: str, expected: list[str]
) -> None:
    assert changed(project, cells, name, old, new) == expected


WAYS = {
    "a decorator that wraps": ("@logged\ndef f():\n    return 1\n", "@logged\ndef g():\n    return 2\n"),
    "a decorator with arguments": ("@again(2)\ndef f():\n    return 1\n", "@again(2)\ndef g():\n    return 2\n"),
    "a base class": ("class F(Plain):\n    n = 1\nf = F\n", "class G(Plain):\n    n = 2\n"),
    "a branch": ("if FAST:\n    def f():\n        return 1\n", "if FAST:\n    def g():\n        return 2\n"),
    "a class attribute": ("class F:\n    n = 1\nf = F\n", "class G:\n    n = 2\n"),
}
PLAIN = """\
import functools
FAST = True

class Plain:
    pass

def logged(function):
    @functools.wraps(function)
    def inner(*given):
        print(function.__name__)
        return function(*given)
    return inner

def again(times):
    def around(function):
        def inner(*given):
            return [function(*given) for _ in range(times)]
        return inner
    return around

"""


@pytest.mark.parametrize("way", WAYS)
def test_a_change_counts_for_what_uses_it_and_for_nothing_else(project: Path, way: str) -> None:
    used, unused = WAYS[way]
    (project / "lib" / "plain.py").write_text(PLAIN + used + unused)
    cells = ["from plain import f", "f()"]
    of_unused = changed(project, cells, "lib/plain.py", unused, unused.replace("2\n", "3\n"))
    of_used = changed(project, cells, "lib/plain.py", used, used.replace("1\n", "4\n"))
    assert (of_unused, of_used) == ([], ["lib/plain.py"])


@pytest.mark.parametrize(
    ("module", "files"),
    [
        ("TABLE = {}\ndef add(f):\n    TABLE[1] = f\ndef f():\n    return 1\nx = add(f)\n", {}),
        ("from reg import TABLE, add\ndef f():\n    return 1\nx = add(f)\n", {"lib/reg.py": REGISTRY}),
        ("TABLE = {}\ndef f():\n    return 1\nx = TABLE.setdefault(1, f)\n", {}),
        ("from reg import TABLE, add\ndef f():\n    return 1\nclass X:\n    x = add(f)\n", {"lib/reg.py": REGISTRY}),
        (
            "from reg import TABLE, add\nclass X:\n    @add\n    def f(self):\n        return 1\n",
            {"lib/reg.py": REGISTRY},
        ),
    ],
    ids=["by a call", "by a call into another module", "by a method", "in a class's body", "by a method's decorator"],
)
def test_what_a_module_enters_in_a_table_when_it_is_imported_counts(
    project: Path, module: str, files: dict[str, str]
) -> None:
    for name, text in {**files, "lib/m.py": module}.items():
        write(project, name, text)
    assert changed(project, ["import m", "m.TABLE[1]()"], "lib/m.py", "return 1", "return 2") == ["lib/m.py"]


@pytest.mark.parametrize(
    ("cells", "file"),
    [
        (["import sys", "sys.path.insert(0, 'tools')", "import h", "h.f()"], "tools/h.py"),
        (["import sys\nsys.path.append(str(here / 'to' / name))", "from h import f", "f()"], "tools/h.py"),
        (["from sys import path\npath.append(somewhere)", "import h.inner"], "tools/h/inner.py"),
        (["%cd tools", "import h", "h.f()"], "tools/h.py"),
        (["%load_ext h"], "lib/h.py"),
        (["%run tools/h"], "tools/h.py"),
        (["%run -i 'tools/x.py'"], "tools/h.py"),
        (["exec(open('tools/h.py').read())"], "tools/h.py"),
        (["exec((Path('tools') / 'h.py').read_text())"], "tools/h.py"),
        (["!python tools/h.py --all"], "tools/h.py"),
        (["!python -m tools.h --all"], "tools/h.py"),
        (["%%bash\npython -m tools.h --all"], "tools/h.py"),
        (["%run -m tools.h"], "tools/h.py"),
        (["get_ipython().system('python tools/h.py --all')"], "tools/h.py"),
        (["os.system(f'{sys.executable} tools/h.py {lake}')"], "tools/h.py"),
        (["subprocess.run([sys.executable, '-m', 'tools.h'])"], "tools/h.py"),
        (["subprocess.run('python -m tools', shell=True)"], "tools/__main__.py"),
        (["%run other.ipynb"], "lib/h.py"),
        (["import importlib", "importlib.import_module(name)"], "lib/h.py"),
        (["import loading", "loading.load(name)"], "lib/h.py"),
        (["import h", "files = !ls\nh.f()"], "lib/h.py"),
        (["import h", "%time h.f()"], "lib/h.py"),
        (["import h", "what is this\nh.f()"], "lib/h.py"),
    ],
)
def test_ways_of_ipython_and_of_scripts_are_followed(project: Path, cells: list[str], file: str) -> None:
    for name in ("lib/h.py", "tools/h.py", "tools/h/inner.py", "tools/__main__.py"):
        if file == name:
            write(project, name, "def f():\n    return 1\n")
    write(project, "tools/x.py", "import h\nh.f()\n")
    write(
        project, "lib/loading.py", "from importlib import import_module\n\ndef load(x):\n    return import_module(x)\n"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import h\nh.f()")])
    nbformat.write(notebook, project / "other.ipynb")
    assert changed(project, cells, file, "return 1", "return 2") == [file]


def test_a_text_file_that_a_function_names_counts(project: Path) -> None:
    write(project, "sql/a.sql", "select 1")
    write(project, "sql/b.sql", "select 2")
    write(
        project,
        "lib/shop/queries.py",
        """\
        from pathlib import Path

        def first():
            return Path("sql/a.sql").read_text()

        def second():
            return Path("sql/b.sql").read_text()
        """,
    )
    cells = ["from shop.queries import first", "first()"]
    assert changed(project, cells, "sql/a.sql", "1", "3") == ["sql/a.sql"]
    assert changed(project, cells, "sql/b.sql", "2", "3") == []


@pytest.mark.parametrize(
    "code",
    [
        "(Path(__file__).parent / 'a.sql').read_text()",
        "Path(__file__).with_name('a.sql').read_text()",
        "(Path('lib') / 'shop' / 'a.sql').read_text()",
        "open(f'{folder}/a.sql').read()",
        "open(f'lib/shop/{name}.sql').read()",
        "files('shop').joinpath('a.sql').read_text()",
    ],
)
def test_a_text_file_that_is_named_in_part_counts(project: Path, code: str) -> None:
    write(project, "lib/shop/a.sql", "select 1")
    write(project, "lib/shop/queries.py", f"def first(folder, name):\n    return {code}\n")
    cells = ["from shop.queries import first", "first('lib/shop', 'a')"]
    assert changed(project, cells, "lib/shop/a.sql", "1", "3") == ["lib/shop/a.sql"]


@pytest.mark.parametrize(
    ("module", "cells"),
    [
        ("def run(kind):\n    return globals()['f_' + kind]()\n", ["from m import run", "run('a')"]),
        (
            "import sys\ndef run(kind):\n    return getattr(sys.modules[__name__], kind)()\n",
            ["import m", "m.run('f_a')"],
        ),
        ("def run():\n    return eval('f_a()')\n", ["import m", "m.run()"]),
        ("def run(frame):\n    return frame.query('x > @f_a()')\n", ["import m", "m.run(frame)"]),
        ("", ["from m import f_a", "globals()['f_' + kind]()"]),
        ("", ["exec('from m import f_a; f_a()')"]),
        ("", ["from pkgutil import resolve_name", "resolve_name('m:f_a')()"]),
    ],
)
def test_a_function_that_is_found_by_its_name_counts(project: Path, module: str, cells: list[str]) -> None:
    write(project, "lib/m.py", f"{module}\ndef f_a():\n    return 1\n\ndef other():\n    return 5\n")
    assert changed(project, cells, "lib/m.py", "return 1", "return 2") == ["lib/m.py"]
    assert changed(project, ["import m", "m.other()"], "lib/m.py", "return 2", "return 1") == []


@pytest.mark.parametrize("cells", [["from m import total", "total()"], ["from m import Rule", "Rule.__subclasses__()"]])
def test_the_classes_below_one_that_are_listed_count(project: Path, cells: list[str]) -> None:
    write(
        project,
        "lib/m.py",
        """\
        class Rule:
            pass

        class Cheap(Rule):
            limit = 1

        def total():
            return sum(each.limit for each in Rule.__subclasses__())
        """,
    )
    assert changed(project, cells, "lib/m.py", "limit = 1", "limit = 2") == ["lib/m.py"]


def test_what_is_added_to_a_list_of_another_module_counts(project: Path) -> None:
    write(project, "lib/base.py", "HANDLERS = []\n\ndef run():\n    return [each() for each in HANDLERS]\n")
    write(project, "lib/more.py", "from base import HANDLERS\n\ndef f():\n    return 1\n\nHANDLERS += [f]\n")
    cells = ["import base, more", "base.run()"]
    assert changed(project, cells, "lib/more.py", "return 1", "return 2") == ["lib/more.py"]


def test_a_package_that_imports_its_own_modules_when_they_are_asked_for_counts(project: Path) -> None:
    write(
        project,
        "lib/lazy/__init__.py",
        """\
        from importlib import import_module

        def __getattr__(name):
            return getattr(import_module(".inner", __name__), name)
        """,
    )
    write(project, "lib/lazy/inner.py", "def f():\n    return 1\n")
    cells = ["from lazy import f", "f()"]
    assert changed(project, cells, "lib/lazy/inner.py", "return 1", "return 2") == ["lib/lazy/inner.py"]


def test_a_module_that_cannot_be_parsed_counts_whole(project: Path) -> None:
    write(project, "lib/shop/taxes.py", "def without(:\n    pass")
    assert changed(project, NET, "lib/shop/taxes.py", "pass", "pass  # a note") == ["lib/shop/taxes.py"]


def test_a_package_that_imports_by_names_made_at_run_time_counts_whole(project: Path) -> None:
    write(
        project,
        "lib/shop/__init__.py",
        """\
        from importlib import import_module

        def load(name):
            return import_module(f"shop.{name}")
        """,
    )
    cells = ["import shop", "shop.load('rules').check(1)"]
    assert changed(project, cells, "lib/shop/rules.py", "x < 10", "x < 11") == ["lib/shop/rules.py"]


def test_thresher_itself_counts_by_what_is_used_of_it(project: Path) -> None:
    used = Code(project).used_by(["import thresher as th", "lake = th.Lake()", "th.dedupe.latest(lake)"])
    assert {"thresher/dedupe.py", "thresher/lake.py", "thresher/sql/texts/strings.py"} <= set(used)
    assert not {"thresher/star/fact.py", "thresher/runner.py", "thresher/plots.py"} & set(used)


def test_what_was_found_is_remembered_until_a_file_changes(project: Path) -> None:
    first = Code(project)
    found = first.used_by(NET)
    first.save()
    taxes = project / "lib" / "shop" / "taxes.py"
    taxes.write_text(taxes.read_text().replace("1 + rate", "3 + rate"))
    again = Code(project).used_by(NET)
    assert [file for file in found if found[file] != again[file]] == ["lib/shop/taxes.py"]


def test_a_module_that_comes_later_is_found_in_spite_of_what_is_remembered(project: Path) -> None:
    write(
        project,
        "lib/shop/sums.py",
        "try:\n    from shop.fast import total\nexcept ImportError:\n    def total(): return 1\n",
    )
    os.utime(project / "lib/shop", (1, 1))  # clocks of file systems are coarse
    cells = ["from shop.sums import total", "total()"]
    first = Code(project)
    first.used_by(cells)
    first.save()
    write(project, "lib/shop/fast.py", "def total():\n    return 2\n")
    assert "lib/shop/fast.py" in Code(project).used_by(cells)


@pytest.mark.parametrize(
    ("files", "cells"),
    [
        ({}, ["%matplotlib inline\nfrom h import f", "f()"]),
        ({}, ["from h import f\n!ls", "f()"]),
        ({}, ["from h import *", "f()"]),
        (
            {"lib/pk/__init__.py": "from .inner import *\n", "lib/pk/inner.py": "from h import f\n"},
            ["import pk", "pk.f()"],
        ),
        ({"lib/star.py": "from h import *\n\ndef g():\n    return f()\n"}, ["from star import g", "g()"]),
        ({"lib/space/mod.py": "from h import f\n"}, ["from space.mod import f", "f()"]),
        ({}, ["try:\n    import h\nexcept ImportError:\n    h = None", "h.f()"]),
        ({}, ["from functools import partial\nfrom h import f", "f = partial(f)"]),
        ({"lib/other.py": "def f():\n    return 5\n"}, ["from h import f", "f()", "from other import f", "f()"]),
        ({}, ["import h\nm = h", "m.f()"]),
        ({}, ["import importlib", "importlib.import_module('h').f()"]),
        ({"lib/base.py": "class Base:\n    def __init_subclass__(cls): ...\n"}, ["import h"]),
        ({"lib/deco.py": "def entry(name):\n    return lambda function: function\n"}, ["import marked"]),
    ],
    ids=["a magic beside it", "a command beside it", "all names", "all names of a package", "all names in a module"]
    + [
        "a folder without __init__",
        "in a try",
        "bound anew",
        "two of one name",
        "a module as a value",
        "by import_module",
    ]
    + ["a class that its base may note", "a decorator of the project that is called as a quiet one"],
)
def test_ordinary_ways_to_use_a_module_are_seen(project: Path, files: dict[str, str], cells: list[str]) -> None:
    write(project, "lib/h.py", "from base import Base\n\ndef f():\n    return 1\n\nclass Plug(Base):\n    number = 1\n")
    write(project, "lib/base.py", "class Base:\n    pass")
    write(project, "lib/marked.py", "from deco import entry\n\n@entry('x')\ndef f():\n    return 1\n")
    for name, text in files.items():
        write(project, name, text)
    if cells == ["import marked"]:
        assert changed(project, cells, "lib/marked.py", "return 1", "return 2") == ["lib/marked.py"]
    elif cells == ["import h"]:
        assert changed(project, cells, "lib/h.py", "number = 1", "number = 2") == ["lib/h.py"]
    else:
        assert changed(project, cells, "lib/h.py", "return 1", "return 2") == ["lib/h.py"]
