"""What a step did with its rows: in, out, refused, duplicate. They add up, or the step fails."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field

from thresher.errors import CountsDoNotAddUp

MIME = "application/vnd.thresher.counts+json"


@dataclass(frozen=True)
class Counts:
    """The rows of one step: one object per dataset written.

    rows_in = rows_out + refused + duplicate, else CountsDoNotAddUp is raised. `more` holds further figures by name
    (files, inserted, orphans, …) that need not add up. Shown as the last value of a notebook cell, the counts travel
    in the notebook's output, from where the runner takes them into the ledger.

    >>> Counts("curated.courses", rows_in=12, rows_out=9, refused=2, duplicate=1)
    Counts(dataset='curated.courses', rows_in=12, rows_out=9, refused=2, duplicate=1, more={})
    """

    dataset: str
    rows_in: int
    rows_out: int
    refused: int = 0
    duplicate: int = 0
    more: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rows_in != self.rows_out + self.refused + self.duplicate:
            raise CountsDoNotAddUp(
                f"{self.dataset}: {self.rows_in} rows in, but {self.rows_out} out + {self.refused} refused + "
                f"{self.duplicate} duplicate = {self.rows_out + self.refused + self.duplicate}. "
                f"Rows were lost or multiplied; the step must account for each."
            )

    def as_dict(self) -> dict[str, object]:
        """The counts as plain values, in the form that the ledger keeps."""
        return {
            "dataset": self.dataset,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "refused": self.refused,
            "duplicate": self.duplicate,
            "more": dict(self.more),
        }

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        figures = {"rows in": self.rows_in, "rows out": self.rows_out, "refused": self.refused}
        figures |= {"duplicate": self.duplicate, **self.more}
        text = f"{self.dataset}: " + ", ".join(f"{name} {value:,}" for name, value in figures.items())
        head = "".join(f"<th>{html.escape(name)}</th>" for name in figures)
        row = "".join(f"<td>{value:,}</td>" for value in figures.values())
        table = (
            f"<table><thead><tr><th>dataset</th>{head}</tr></thead>"
            f"<tbody><tr><td>{html.escape(self.dataset)}</td>{row}</tr></tbody></table>"
        )
        return {"text/plain": text, "text/html": table, MIME: self.as_dict()}
