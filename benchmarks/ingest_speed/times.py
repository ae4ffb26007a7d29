"""What ways to do the same took, and the table that tells it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Times:
    """Wall-clock and CPU seconds of one way, one of each per run."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, way: Callable[..., object], *arguments: object) -> None:
        """Run it once more."""
        wall, cpu = time.perf_counter(), time.process_time()
        way(*arguments)
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)


def show(title: str, ways: dict[str, Times], remote: tuple[str, ...] = ()) -> None:
    """Print the medians, and by how much each way is slower than the first; the CPU of `remote` ones is elsewhere."""
    ours = median(next(iter(ways.values())).wall)
    print(f"\n{title}\n\n| way | s | times ours | CPU s | fastest–slowest s |\n|---|---:|---:|---:|---|")
    for name, times in ways.items():
        middle = median(times.wall)
        cpu = "" if name in remote else f"{median(times.cpu):.2f}"
        spread = f"{min(times.wall):.2f}–{max(times.wall):.2f}"
        print(f"| {name} | {middle:.2f} | {middle / ours:.2f} | {cpu} | {spread} |")
