"""Files that are replaced whole or not at all."""

import os
import secrets
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Write a file, or leave the old one as it is; its folder is made where missing. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the tempfile module: its files are readable by their owner alone, and a web server is somebody else.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
