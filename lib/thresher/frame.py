"""Rows of either engine, not yet fetched."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd

    from thresher.engines import Engine

SHOWN_ROWS = 20
SHOWN_CHARACTERS = 200


class Frame(ABC):
    """Rows that an engine can compute: the result of `lake.sql`, `lake.read` and of every verb of the library.

    A frame can be read as often as one likes. `native` is the engine's own object below it: a DuckDB relation or a
    PySpark DataFrame.
    """

    engine: "Engine"

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Names and shared types of the columns (see `thresher.types`); computes no rows."""

    @property
    @abstractmethod
    def native(self) -> Any:
        """The engine's own object: a DuckDB relation or a PySpark DataFrame."""

    @abstractmethod
    def batches(self) -> pa.RecordBatchReader:
        """The rows as a stream of Arrow batches with exactly `schema`."""

    @abstractmethod
    def count(self) -> int:
        """How many rows."""

    @abstractmethod
    def head(self, rows: int = 10) -> "Frame":
        """The first rows; which ones is promised only after an ORDER BY."""

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return self.schema.names

    def to_arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        return self.batches().read_all()

    def to_pandas(self) -> "pd.DataFrame":
        """All rows as a pandas DataFrame (decimals stay `decimal.Decimal`)."""
        return self.to_arrow().to_pandas()

    def table(self, rows: int = 1000) -> "ShownRows":
        """Up to that many rows as a table to show; a frame shows itself with 20."""
        shown = self.head(rows + 1).to_arrow().to_pandas(integer_object_nulls=True).astype(object)
        note = f"first {rows:,} rows" if len(shown) > rows else f"{len(shown):,} row{'s' * (len(shown) != 1)}"
        return ShownRows(shown.head(rows).map(_shown_value), note)

    def __repr__(self) -> str:
        return repr(self.table(SHOWN_ROWS))

    def _repr_html_(self) -> str:
        return self.table(SHOWN_ROWS)._repr_html_()


@dataclass(frozen=True, repr=False)
class ShownRows:
    """Rows as text and as HTML, with a note of how many they are."""

    rows: "pd.DataFrame"
    note: str

    def __repr__(self) -> str:
        shown = self.rows.to_string(index=False) if len(self.rows) else " ".join(self.rows.columns)
        return f"{shown}\n({self.note})"

    def _repr_html_(self) -> str:
        import pandas as pd

        with pd.option_context("display.max_colwidth", SHOWN_CHARACTERS):
            # pandas escapes the cells: what stands in the data is text, never markup.
            return self.rows.to_html(index=False, border=0) + f"<p>{self.note}</p>"


def _shown_value(value: Any) -> Any:
    """A null as a dash, decimals without the zeros that only their scale brings but with cents; the rest as it is.

    >>> _shown_value(None), _shown_value(Decimal("1225.00000000")), _shown_value(Decimal("0.12500000"))
    ('–', '1,225.00', '0.125')
    """
    if value is None or (not hasattr(value, "__len__") and value != value):  # NaN, and pandas' NaT
        return "–"
    if not isinstance(value, Decimal) or not value.is_finite():
        return value
    whole, point, fraction = f"{value:,f}".partition(".")
    return f"{whole}.{fraction.rstrip('0'):0<2}" if point else whole
