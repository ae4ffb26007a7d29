"""Memory that values were made in is used again, but never while somebody still holds them."""

import platform
import subprocess
import sys

import pyarrow as pa
import pytest

from thresher import xml
from thresher.xml.shredding.arena import Blocks
from thresher.xml.shredding.shredder import Column

SCHEMA = xml.Schema.from_ddl("n bigint, t string")


def documents(first: int) -> pa.Array:
    """About 3 MB, more than the reference reads alone."""
    return pa.array([f"<d><n>{first + row}</n><t>{'x' * 100}{first + row}</t></d>" for row in range(20_000)])


def test_values_stay_when_later_documents_are_read() -> None:
    held = [xml.parse(documents(first), SCHEMA, threads=2).values for first in (0, 100_000, 200_000)]
    for _ in range(3):
        xml.parse(documents(900_000), SCHEMA, threads=2)
    ends = [(values[0].as_py(), values[-1].as_py()["n"]) for values in held]
    assert ends == [({"n": first, "t": "x" * 100 + str(first)}, first + 19_999) for first in (0, 100_000, 200_000)]


def test_a_block_is_used_again_only_when_nobody_holds_it() -> None:
    blocks = Blocks()
    one = blocks.take(1_000)
    two = blocks.take(1_000)
    assert one.address != two.address
    place, part = one.address, one.slice(10, 20)
    del one
    assert blocks.take(1_000).address != place
    del part
    taken = [blocks.take(1_000), blocks.take(1_000), blocks.take(1_000)]
    assert place in [buffer.address for buffer in taken]
    assert all(buffer.address % 64 == 0 for buffer in taken)


def test_stretches_are_of_like_size() -> None:
    rows = [None, *["x" * 100] * 22, None]
    assert list(Column.of(pa.array(rows)).stretches(2_000)) == [(0, 24)]
    assert list(Column.of(pa.array(rows)).stretches(1_000)) == [(0, 12), (12, 24)]
    assert list(Column.of(pa.array([None, None], pa.string())).stretches(1_000)) == [(0, 2)]
    assert list(Column.of(pa.array([], pa.string())).stretches(1_000)) == []


FREED = """
import numpy as np
import psutil

from thresher.engines import open_engine

engine = open_engine("duckdb")
kept = []
before = psutil.Process().memory_info().rss
for _ in range(3):
    blocks = [np.ones(2 << 20, np.uint8) for _ in range(50)]
    kept.append(blocks.pop())
    del blocks
print((psutil.Process().memory_info().rss - before) >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is of the GNU C library; run it on Linux")
def test_freed_blocks_go_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert 6 <= int(done.stdout) < 30  # MB: the three that are kept; otherwise about 100
