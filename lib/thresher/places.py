"""Where a run finds the lake and the site, and whether it may write there."""

import os
from pathlib import Path

from thresher.errors import LakeError
from thresher.project import resolve

DEFAULT_LAKE = "lake"


def lake_folder(lake: Path | str | None = None) -> Path:
    """The folder of the lake that is meant: as given, else THRESHER_LAKE, else `lake`; the last two in the project."""
    return Path(lake).resolve() if lake else resolve(os.environ.get("THRESHER_LAKE") or DEFAULT_LAKE)


def site_folder(lake: Path, site: Path | str | None = None) -> Path:
    """The folder of the site that is meant: as given, else `site` beside the lake.

    >>> site_folder(Path("/data/lake")).as_posix()
    '/data/site'
    """
    return Path(site).resolve() if site else lake.parent / "site"


def check_writable(path: Path) -> None:
    """Raise LakeError unless a folder is there, or can be made, that this user may write."""
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir():
        raise LakeError(f"{path}: {there} is a file; expected a folder. Give another path with --lake or --site.")
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        raise LakeError(f"{path}: {there} cannot be written by this user; check its owner and its permissions.")
