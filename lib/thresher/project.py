"""Where relative paths begin: at the project, whether a notebook, papermill or the runner resolves them."""

from pathlib import Path

from thresher.errors import UsageError

MARKERS = ("pipelines", "notebooks")
LIBRARY = "lib"
"""The folder of a project whose modules every notebook can import."""


def project_root(start: Path | str = ".") -> Path:
    """The nearest folder, from `start` upwards, that holds `pipelines/` and `notebooks/`; else `start` itself.

    A notebook run in JupyterLab works in its own folder, papermill in the caller's: both find the same project.
    """
    start = Path(start).resolve()
    for folder in (start, *start.parents):
        if all((folder / marker).is_dir() for marker in MARKERS):
            return folder
    return start


def resolve(path: Path | str, project: Path | None = None) -> Path:
    """An absolute path: as it is, or relative to the project (else the one around the working directory)."""
    path = Path(path).expanduser()
    return path if path.is_absolute() else (project or project_root()) / path


def names_file(value: str, suffix: str) -> bool:
    """Whether a value is the path of a file with that suffix, and not the text itself.

    >>> names_file("pipelines/a.sql", ".sql"), names_file("select 1\\n-- like a.sql", ".sql")
    (True, False)
    """
    value = value.strip()
    return value.endswith(suffix) and "\n" not in value and len(value) < 1000


def text_of(value: str, suffix: str) -> str:
    """The text itself; or, when it is the path of a file with that suffix in the project, what stands in the file.

    Raises UsageError when there is no such file.

    >>> text_of("select 1 as one", ".sql")
    'select 1 as one'
    """
    if not names_file(value, suffix):
        return value
    file = resolve(value.strip())
    if not file.is_file():
        raise UsageError(
            f"file {file} is not there; expected the text itself, or the path of a {suffix} file in the project"
        )
    return file.read_text("utf-8")
