"""A bar for a pass over files: bytes done of all, documents and megabytes a second; only on a terminal."""

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

if TYPE_CHECKING:
    import pyarrow as pa

    from thresher.xml import Source


class PassProgress:
    """Follows passes over a source on stderr, one bar each."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TextColumn("{task.fields[rate]:,.0f} documents/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "PassProgress":
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def batches(self, label: str, source: "Source") -> "Iterator[pa.RecordBatch]":
        """The source's batches; a bar moves when the next one is asked for."""
        bar = self.bars.add_task(label, total=source.size, rate=0.0)
        documents = 0
        for batch in source.batches():
            yield batch
            documents += batch.num_rows
            seconds = self.bars.tasks[bar].elapsed or 1.0
            self.bars.update(bar, completed=source.reading.done_bytes, rate=documents / seconds)
        self.bars.update(bar, completed=source.size)
