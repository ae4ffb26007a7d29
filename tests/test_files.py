"""Files that are replaced whole: what a killed process leaves beside them does not stay."""

import os
import time
from pathlib import Path

import pytest

from thresher import files

DAY_S = 24 * 60 * 60


def test_a_file_is_replaced_and_nothing_else_stays(tmp_path: Path) -> None:
    files.replace(tmp_path / "new" / "a.txt", b"one")
    files.replace(tmp_path / "new" / "a.txt", b"two")
    assert [(file.name, file.read_bytes()) for file in (tmp_path / "new").iterdir()] == [("a.txt", b"two")]


@pytest.mark.parametrize(
    ("name", "age_s", "stays"),
    [
        (".a.txt.0123abcd", DAY_S + 60, False),
        (".a.txt.0123abcd", DAY_S - 60, True),  # another process may still write it
        (".b.txt.0123abcd", DAY_S + 60, True),
        (".a.txt.0123abcdef", DAY_S + 60, True),
        (".a.txt.backup", DAY_S + 60, True),
        ("a.txt.0123abcd", DAY_S + 60, True),
    ],
)
def test_drafts_that_were_left_are_removed_after_a_day(tmp_path: Path, name: str, age_s: int, stays: bool) -> None:
    left = tmp_path / name
    left.write_bytes(b"half")
    os.utime(left, (time.time() - age_s,) * 2)
    files.replace(tmp_path / "a.txt", b"whole")
    assert left.exists() == stays
    assert (tmp_path / "a.txt").read_bytes() == b"whole"
