"""Files that are replaced whole or not at all."""

import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

# A process that is killed leaves its draft; no process writes one for so long without touching it.
FORGOTTEN_S = 24 * 60 * 60


def replace(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file, or leave the old one as it is; its folder is made where missing. Raises OSError.

    `mode` is what the file's permissions may be at most; the process' umask takes from it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the tempfile module: its files are readable by their owner alone, and a web server is somebody else.
    draft = draft_of(path)
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def draft_of(path: Path) -> Path:
    """A hidden place beside a path, `.name.1f0c44a9`, to write what will take its place.

    Drafts of the same path that nobody has touched for a day are removed: their processes were killed.
    """
    form = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}")
    with suppress(OSError):  # the folder may not be there, and another process may be quicker
        for draft in [each for each in path.parent.iterdir() if form.fullmatch(each.name)]:
            if time.time() - draft.stat().st_mtime > FORGOTTEN_S:
                draft.unlink()
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")
