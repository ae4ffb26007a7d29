"""The cells of a notebook as plain Python: what IPython alone understands is put into other words."""

import ast
import keyword
import re
from collections.abc import Iterator, Sequence

_RUN = re.compile(r"^([ \t]*)%run[ \t]+((?:-\w+[ \t]+)*)['\"]?([^\s'\"]+).*$", re.M)
_EXTENSION = re.compile(r"^([ \t]*)%(?:load_ext|reload_ext|aimport)[ \t]+([\w.]+).*$", re.M)
_FOLDER = re.compile(r"^([ \t]*)%(?:cd|pushd)\b[ \t]*(.*)$", re.M)
_MAGIC = re.compile(r"^([ \t]*)[%!?](.*)$", re.M)
_CAUGHT = re.compile(r"^([ \t]*[\w., \t*]+=[ \t]*)[%!](.*)$", re.M)  # what a magic or a command gives, with a name
_IMPORT = re.compile(
    r"^[ \t]*((?:import|from)[ \t]+[\w.]+(?:[ \t]+import[ \t]+[\w, ]+|[ \t]+as[ \t]+\w+)?)[ \t]*$", re.M
)
_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_SCRIPT = re.compile(r"[\w./-]+\.py\b|(?<!\S)-m[ \t]+[\w.]+")


def as_python(sources: Sequence[str]) -> str:
    """One text of all cells, which share their names; of what is no Python, imports, names and scripts alone.

    >>> as_python(["%run -i tools/a x", "%load_ext ext", "a = %time h.f(2)", "!python b.py"])
    "'tools/a.py'\\n__import__('ext')\\na = None; time; h.f\\n'b.py'; python; b.py"
    >>> as_python(["%run -m tools.a", "!python -m b.c"])
    "'-m tools.a'\\n'-m b.c'; python; m; b.c"
    >>> as_python(["import h\\nno python h.f"])
    'import h\\nh; no; python; h.f'
    """
    return "\n".join(piece for source in sources for piece in _pieces(source))


def _pieces(source: str) -> Iterator[str]:
    plain = _RUN.sub(lambda found: found[1] + repr(_script(found[3], found[2].split())), source)
    plain = _EXTENSION.sub(lambda found: f"{found[1]}__import__({found[2]!r})", plain)
    plain = _FOLDER.sub(lambda found: f"{found[1]}sys.path.insert(0, {found[2].strip()!r})", plain)
    plain = _MAGIC.sub(lambda found: found[1] + (_words(found[2]) or "pass"), plain)
    plain = _CAUGHT.sub(lambda found: f"{found[1]}None; {_words(found[2])}", plain)
    try:
        ast.parse(plain)
        yield plain
    except (SyntaxError, ValueError):
        yield from (found[1] for found in _IMPORT.finditer(source))
        yield _words(plain)


def _words(text: str) -> str:
    """The scripts, the modules that are run and the names in a text, as a line of Python."""
    names = [name for name in _NAME.findall(text) if not any(map(keyword.iskeyword, name.split(".")))]
    return "; ".join([*map(repr, _SCRIPT.findall(text)), *dict.fromkeys(names)])


def _script(name: str, options: Sequence[str]) -> str:
    if "-m" in options:
        return f"-m {name}"
    return name if name.endswith((".py", ".ipynb", ".ipy")) else f"{name}.py"
