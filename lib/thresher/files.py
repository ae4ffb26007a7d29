"""Files that are replaced whole or not at all."""

import os
import secrets
from pathlib import Path


def replace(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file, or leave the old one as it is; its folder is made where missing. Raises OSError.

    `mode` is what the file's permissions may be at most; the process' umask takes from it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the tempfile module: its files are readable by their owner alone, and a web server is somebody else.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
