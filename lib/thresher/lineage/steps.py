"""From which columns each column comes that a step has written: what its query says, or the library that it calls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thresher.flatten import ORIGIN_KEY
from thresher.lineage.columns import Origin, Schemas, origins
from thresher.star import surrogate_name

Columns = dict[str, list[Origin]]


@dataclass(frozen=True)
class Step:
    """A step that has ended: what it was given, its notebook's code, and the columns (name → type) of its datasets."""

    arguments: Mapping[str, Any]
    code: str
    query: str
    read: Schemas
    written: Schemas
    lake: Path

    def origins(self) -> dict[str, Columns]:
        """The columns of each written dataset, as far as it is known where they come from."""
        found = dict(self._found())
        return {name: _known(columns, self.written[name]) for name, columns in found.items() if name in self.written}

    def _found(self) -> Iterator[tuple[str, Columns]]:
        source, target, column = (str(self.arguments.get(name)) for name in ("source", "target", "column"))
        if self.query:
            columns = self._of_query()
            yield from ((name, columns) for name in self.written)
        elif source in self.read and target in self.written:
            if "dedupe." in self.code:
                yield target, self._unchanged(source, target)
            elif "flatten.documents(" in self.code and column in self.read[source]:
                yield from self._of_documents(source, target, column)

    def _unchanged(self, source: str, target: str) -> Columns:
        both = self.read[source].items() & self.written[target].items()
        return {column: [Origin(source, column, is_identity=True)] for column, _ in both}

    def _of_query(self) -> Columns:
        """What the query hands on, and the surrogate keys: a dimension's own, and those that a fact has found."""
        try:
            found = origins(self.query, self.read)
        except Exception:  # SQL that only the engine understands
            return {}
        dimensions, key = self.arguments.get("dimensions"), self.arguments.get("key")
        for foreign, dimension in (dimensions if isinstance(dimensions, dict) else {}).items():
            found[foreign] = [Origin(str(dimension), surrogate_name(str(dimension)), is_identity=True)]
        if "star.dimension(" in self.code and isinstance(key, list):
            of_key = [Origin(each.dataset, each.column, False) for name in key for each in found.get(name, ())]
            found[surrogate_name(str(self.arguments.get("target")))] = of_key
            valid_from = self.arguments.get("valid_from")
            if valid_from in found:
                found["valid_from"] = found["valid_to"] = found.pop(valid_from)
        return found

    def _of_documents(self, source: str, target: str, column: str) -> Iterator[tuple[str, Columns]]:
        """The rows of the source, keys made of its key, and all else out of the documents, by path."""
        keys = [Origin(source, name, is_identity=False) for name in self.arguments.get("key") or ORIGIN_KEY]
        document = Origin(source, column, is_identity=False)
        made = {str(self.arguments.get("into") or column): [document], "_key": keys, "_rescued": [document]}
        yield target, self._unchanged(source, target) | made
        for dataset, paths in self._tables(target).items():
            found = {name: [Origin(source, column, False, path)] for name, path in paths.items()}
            keys_of = {name: keys for name in ("_key", "_parent_key", "_row_key")}
            yield dataset, {"_ordinal": [document]} | found | keys_of

    def _tables(self, target: str) -> dict[str, dict[str, str]]:
        """The datasets of the documents' tables: of each column, where it stands in the documents (an XPath)."""
        from thresher import structures, xml
        from thresher.element_tables import default_tables
        from thresher.lake import Lake

        known = structures.known(Lake(self.lake), target)
        if known is None:
            return {}
        paths = [row for row in xml.lineage(known.schema).to_pylist() if row["table"]]
        names = dict.fromkeys(row["table"] for row in paths)
        tables = self.arguments.get("tables") or default_tables(target, list(names))
        found: dict[str, dict[str, str]] = {dataset: {} for dataset in tables.values()}
        for row in paths:
            if row["column"] and row["table"] in tables:
                found[tables[row["table"]]][row["column"]] = row["xpath"]
        return found


def _known(columns: Columns, written: Mapping[str, str]) -> Columns:
    return {name: found for name, found in columns.items() if found and name in written}
