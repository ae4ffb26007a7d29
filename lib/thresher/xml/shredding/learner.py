"""From columns of documents to what was seen of their structure: walked, counted, and merged over threads."""

import struct
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from thresher.xml.extremes import Extremes
from thresher.xml.options import Options
from thresher.xml.shredding import learning, tables
from thresher.xml.shredding.growing import DEEPEST, PADDING, Tables
from thresher.xml.shredding.naming import add_field
from thresher.xml.shredding.shredder import LEAST_BYTES, Column, Workspace, with_bytes
from thresher.xml.shredding.voting import KINDS
from thresher.xml.structure import ATTRIBUTE, ELEMENT, TEXT, Node
from thresher.xml.votes import Votes, vote

_KINDS = {tables.ELEMENT: ELEMENT, tables.ROOT: ELEMENT, tables.ATTRIBUTE: ATTRIBUTE, tables.TEXT: TEXT}
_NAMES, _FIELDS = 256, 128
# What a text takes besides its own bytes: field and length, and room up to the next block and word.
UNSURE_BYTES = 64


class Learner:
    """What one thread has seen, over any number of stretches."""

    def __init__(self, options: Options) -> None:
        self.options = options
        made = Tables(options, is_learning=True, names=_NAMES, fields=_FIELDS)
        add_field(made.address, tables.STRUCT, 0)  # the root
        self.work = Workspace(made)
        self.open = np.zeros((DEEPEST, 8), np.int64)
        self.counts = np.zeros(2, np.int64)
        self.unsure = np.zeros(0, np.uint8)
        self.doubtful: dict[int, Votes] = {}
        self.stats = np.zeros((0, learning.STATS), np.int64)
        self.texts = np.zeros((0, learning.TEXTS, learning.ROOM), np.uint8)

    def learn(self, column: Column, first: int, after: int, *, is_text: bool) -> np.ndarray:
        """Count the documents of some rows; those that are left to the reference."""
        made = self.work.tables
        made.settings[tables.IS_TEXT] = is_text
        base, end, states = self.work.walked(column, first, after)
        self._make_room(len(made.fields))
        starts, ends = column.starts[first:after], column.ends[first:after]
        size = int(np.maximum(ends - starts, 0).sum())
        entries = (end - self.work.tape.ctypes.data) // 16
        self.unsure = with_bytes(self.unsure, size + UNSURE_BYTES * entries + PADDING)
        stop = learning.learn(
            made.address,
            base,
            self.stats.ctypes.data,
            self.texts.ctypes.data,
            self.open.ctypes.data,
            self.work.tape.ctypes.data,
            end,
            self.counts.ctypes.data,
            self.work.scratch.ctypes.data,
            self.unsure.ctypes.data,
        )
        self._judge(stop - self.unsure.ctypes.data)
        left: np.ndarray = np.flatnonzero(states == tables.LEFT) + first
        return left

    def _make_room(self, fields: int) -> None:
        if fields > len(self.stats):
            new = fields - len(self.stats)
            fresh = np.zeros((new, learning.STATS), np.int64)
            fresh[:, [learning.SEEN_IN, learning.STANDS_IN, learning.VALUED_IN, learning.TEXT_IN]] = -1
            fresh[:, learning.EXAMPLES : learning.EXAMPLES + learning.TEXTS] = -1
            # Every text comes between these: it is looked at closely.
            fresh[:, learning.THIRD_ORDER] = np.iinfo(np.int64).max
            self.stats = np.concatenate([self.stats, fresh])
            self.texts = np.concatenate([self.texts, np.zeros((new, learning.TEXTS, learning.ROOM), np.uint8)])

    def _judge(self, size: int) -> None:
        """Let the texts vote that the loops are unsure of."""
        content = self.unsure[:size].tobytes()
        at = 0
        doubtful: Counter[tuple[int, bytes]] = Counter()
        while at < size:
            field, length = struct.unpack_from("<qq", content, at)
            doubtful[field, content[at + 16 : at + 16 + length]] += 1
            at += 16 + (length + 39 & ~7)
        for (field, text), times in doubtful.items():
            cast = vote(text.decode(), self.options)
            assert cast is not None
            self.doubtful.setdefault(field, Votes()).count(cast, text.decode(), times)

    def seen(self) -> Node:
        """What was seen, as the reference tells it; the root's documents are those that were read."""
        made = self.work.tables
        names = made.names[1 : int(made.settings[tables.NAME_COUNT])]
        pool = made.pool.tobytes()
        self._make_room(len(made.fields))
        nodes = {0: self._node(0)}
        keys: dict[int, str] = {}
        parents: dict[int, int] = {}
        for entry, row in enumerate(names.tolist(), 1):
            kind, times = row[tables.KIND], row[tables.SEEN]
            if kind != tables.FOLDED and not times:
                continue  # of refused documents alone, which may have any number
            written = pool[row[tables.PLACE] : row[tables.PLACE] + row[tables.LENGTH]].decode()
            name = self.work.judge.names.get(entry, written)
            target = 0 if kind == tables.ROOT else row[tables.TARGET]
            if kind == tables.FOLDED:
                keys[target], parents[target] = name, row[tables.PARENT]
                continue
            if target not in nodes:
                nodes[target] = self._node(target)
            nodes[target].names[self._field_name(kind, name)] += times
            nodes[target].kinds[_KINDS[kind]] += times
        # A field's number is higher than that of the field above it: from the last on, all below are complete.
        for field in sorted(nodes.keys() - {0}, reverse=True):
            nodes[parents[field]].children[keys[field]] = nodes[field]
        nodes[0].documents = nodes[0].kinds.total()
        return nodes[0]

    def _field_name(self, kind: int, name: str) -> str:
        if kind == tables.TEXT:
            return self.options.value_tag
        return self.options.attribute_prefix + name if kind == tables.ATTRIBUTE else name

    def _node(self, field: int) -> Node:
        stats = self.stats[field].tolist()
        counts = {kind: stats[learning.VOTES + at] for at, kind in enumerate(KINDS) if stats[learning.VOTES + at]}
        texts = [self._text(field, slot, stats[learning.EXAMPLES + slot]) for slot in range(learning.TEXTS)]
        extremes = Extremes(
            [text for text in texts[: learning.LAST] if text is not None],
            texts[learning.LAST],
            texts[learning.LOWEST],
            texts[learning.HIGHEST],
            stats[learning.LONGEST],
        )
        votes = Votes(Counter(counts), stats[learning.WHOLE], stats[learning.SCALE], stats[learning.DIGITS], extremes)
        return Node(
            documents=stats[learning.DOCUMENTS],
            text_documents=stats[learning.TEXT_DOCUMENTS],
            parents=stats[learning.PARENTS],
            repeats=stats[learning.REPEATS],
            bare=stats[learning.BARE],
            structs=stats[learning.STRUCTS],
            mixed=stats[learning.MIXED],
            votes=votes.merge(self.doubtful[field]) if field in self.doubtful else votes,
        )

    def _text(self, field: int, slot: int, length: int) -> str | None:
        return None if length < 0 else self.texts[field, slot, :length].tobytes().decode()


class Discoverer:
    """Learns from columns in threads, each of which has a learner of its own."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.learners: list[Learner] = []
        self._idle: list[Learner] = []

    def learn(self, documents: pa.Array, *, is_text: bool, threads: int) -> Iterator[list[int]]:
        """Learn from an array, stretch by stretch: the rows of each that the reference must read."""
        column = Column.of(documents)
        rows = list(column.stretches(LEAST_BYTES))
        if threads == 1 or len(rows) < 2:
            yield from (self._learn(column, first, after, is_text) for first, after in rows)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(lambda part: self._learn(column, part[0], part[1], is_text), rows)

    def _learn(self, column: Column, first: int, after: int, is_text: bool) -> list[int]:
        try:
            learner = self._idle.pop()
        except IndexError:
            learner = Learner(self.options)
            self.learners.append(learner)
        left = learner.learn(column, first, after, is_text=is_text)
        self._idle.append(learner)
        return left.tolist()

    def seen(self) -> Node:
        """What all threads have seen."""
        seen = Node()
        for learner in self.learners:
            seen = seen.merge(learner.seen())
        return seen
