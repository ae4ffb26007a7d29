"""Where a run finds the lake, the site and the ledger, on which engine, and whether it may write there.

Each is what is given (on the command line), else what the environment says that `--env` or THRESHER_ENV names, else
the variable THRESHER_LAKE, THRESHER_ENGINE or THRESHER_LEDGER, else what the default environment says.
"""

import os
from pathlib import Path

from thresher import environments
from thresher.errors import LakeError
from thresher.project import resolve
from thresher.spark_address import take_token

DEFAULT_LAKE = "lake"
DEFAULT_ENGINE = "duckdb"


def lake_folder(lake: Path | str | None = None) -> Path:
    """The folder of the lake that is meant, as given or chosen, else `lake` in the project."""
    return (
        Path(lake).resolve()
        if lake
        else resolve(_chosen("THRESHER_LAKE", environments.current(), "lake") or DEFAULT_LAKE).resolve()
    )


def site_folder(lake: Path, site: Path | str | None = None) -> Path:
    """The folder of the site that is meant: as given, else that of the lake's environment, else `site` beside the lake.

    >>> site_folder(Path("/data/lake")).as_posix()
    '/data/site'
    """
    if site:
        return Path(site).resolve()
    environment = environments.of_lake(lake)
    return environment.site if environment else lake.parent / "site"


def engine_name(engine: str | None = None) -> str:
    """The name of the engine that is meant, as given or chosen, else duckdb; not checked.

    A token in its address goes into the environment, so that no ledger, page or message shows it.
    """
    return take_token(engine or _chosen("THRESHER_ENGINE", environments.current(), "engine") or DEFAULT_ENGINE)


def ledger_url(lake: Path) -> str | None:
    """The database (or file) that keeps a lake's ledger, if it is not the lake itself."""
    return _chosen("THRESHER_LEDGER", environments.of_lake(lake), "ledger")


def _chosen(variable: str, environment: environments.Environment | None, key: str) -> str | None:
    """What a named environment says, else the variable, else the default environment."""
    said = getattr(environment, key) if environment else None
    outside = os.environ.get(variable)
    found = said or outside if environment and environment.is_named else outside or said
    return str(found) if found else None


def check_writable(path: Path) -> None:
    """Raise LakeError unless a folder is there, or can be made, that this user may write."""
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir():
        raise LakeError(f"{path}: {there} is a file; expected a folder. Give another path with --lake or --site.")
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        raise LakeError(f"{path}: {there} cannot be written by this user; check its owner and its permissions.")


def check_readable(path: Path) -> None:
    """Raise LakeError unless the path is a readable folder, or nothing yet in a place that is one."""
    if path.exists() and not path.is_dir():
        raise LakeError(f"lake {path} is a file; expected a folder. Give another path with --lake or THRESHER_LAKE.")
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise LakeError(f"lake {path} cannot be read: permission denied for this user")
