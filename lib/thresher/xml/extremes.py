"""What the texts of one path look like at their ends: first, last, lowest, highest, longest."""

from dataclasses import asdict, dataclass, field
from typing import Any

EXAMPLES = 3
EXAMPLE_LENGTH = 60


@dataclass(slots=True)
class Extremes:
    """The ends of many texts, each cut to 60 characters; merging is associative and commutative.

    `examples` are the alphabetically first distinct texts, `last` the last; `lowest` and `highest` are those of the
    numbers, compared as doubles (of equals the alphabetically first); `longest` counts characters.
    """

    examples: list[str] = field(default_factory=list)
    last: str | None = None
    lowest: str | None = None
    highest: str | None = None
    longest: int = 0

    def add(self, text: str, *, is_number: bool) -> None:
        """Count one text.

        >>> extremes = Extremes()
        >>> for text in ("9", "10", "8.5"):
        ...     extremes.add(text, is_number=True)
        >>> extremes.examples, extremes.lowest, extremes.highest
        (['10', '8.5', '9'], '8.5', '10')
        """
        example = text if len(text) <= EXAMPLE_LENGTH else text[:EXAMPLE_LENGTH] + "…"
        if example not in self.examples and (len(self.examples) < EXAMPLES or example < self.examples[-1]):
            self.examples = sorted([*self.examples, example])[:EXAMPLES]
        self.last = example if self.last is None else max(self.last, example)
        self.longest = max(self.longest, len(text))
        if is_number:
            self.lowest = _further(self.lowest, example, -1)
            self.highest = _further(self.highest, example, 1)

    def merge(self, other: "Extremes") -> "Extremes":
        """The ends of both."""
        return Extremes(
            sorted({*self.examples, *other.examples})[:EXAMPLES],
            max((text for text in (self.last, other.last) if text is not None), default=None),
            _further(self.lowest, other.lowest, -1),
            _further(self.highest, other.highest, 1),
            max(self.longest, other.longest),
        )

    def as_dict(self) -> dict[str, Any]:
        """The ends as plain values; what is missing is left out."""
        return {name: value for name, value in asdict(self).items() if value}


def _further(one: str | None, two: str | None, sign: int) -> str | None:
    """Of two numbers in text the one further in a direction."""
    if one is None or two is None:
        return two if one is None else one
    first, second = sign * _number(one), sign * _number(two)
    return min(one, two) if first == second else one if first > second else two


def _number(text: str) -> float:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return float.fromhex(text) if "x" in text.lower() else 0.0
