"""What holds for any documents: nothing is lost, and a schema does not depend on order or batches."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from hypothesis import given, settings
from hypothesis import strategies as st

from thresher import xml

# Fixed cases keep the run quick and the same for everyone; raise max_examples and drop derandomize to search on.
few = settings(max_examples=60, deadline=None, derandomize=True)

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?")


@dataclass(frozen=True)
class Node:
    """A document to be written: texts, comments (None) and elements inside."""

    name: str
    attributes: dict[str, str]
    content: "list[Node | str | None]"

    def written(self) -> str:
        pairs = "".join(f" {name}={quoteattr(value)}" for name, value in self.attributes.items())
        parts = [part.written() if isinstance(part, Node) else escape(part or "<!-- c -->") for part in self.content]
        return f"<{self.name}{pairs}>{''.join(parts).replace('&lt;!-- c --&gt;', '<!-- c -->')}</{self.name}>"

    def texts(self) -> Iterator[str]:
        """Every attribute and every run of text between elements."""
        yield from self.attributes.values()
        run = ""
        for part in self.content:
            if isinstance(part, Node):
                yield run
                yield from part.texts()
                run = ""
            else:
                run += part or ""
        yield run


texts = st.one_of(
    st.sampled_from(["7", "-3", "007", "+5", "7.5", "7.50", "0.05", "-0", "1e5", "1E-7", "12345678901234567890"]),
    st.sampled_from(["0.1234567890123456", "true", "True", "NaN", "  ", " x ", "<&>\"'"]),
    st.sampled_from(
        ["2024-01-31", "2024-02-30", "2024-01-31T10:00:00Z", "2024-01-31 10:00", "2024-01-31T10:00:00-05:00"]
    ),
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=6
    ),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
)
names = st.sampled_from(["a", "A", "b", "_a", "_VALUE", "x.y", "n:b", "ä-1"])
attributes = st.dictionaries(st.sampled_from(["a", "id", "n:b", "xmlns:n"]), texts, max_size=2)
inside = st.recursive(
    texts | st.none(), lambda inner: st.builds(Node, names, attributes, st.lists(inner, max_size=4)), max_leaves=12
)
nodes = st.lists(st.builds(Node, names, attributes, st.lists(inside, max_size=5)), max_size=4)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)
    elif value is not None:
        yield value


def plain(value: Any) -> str:
    """A value as text: equal for texts of one number or moment, different where a digit, sign or zero is."""
    if isinstance(value, str):
        text = value.strip(" \t\r\n")
        if NUMBER.fullmatch(text) and abs(Decimal(text).adjusted()) < 400:
            return format(Decimal(text).normalize(), "f")
        try:
            return plain(datetime.fromisoformat(text)) if MOMENT.fullmatch(text) else text
        except ValueError:
            return text
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return plain(
        value.isoformat() if isinstance(value, date) else repr(value) if isinstance(value, float) else str(value)
    )


def counted(values: Iterator[Any]) -> Counter[str]:
    return Counter(text for text in map(plain, values) if text)


@few
@given(nodes)
def test_every_text_and_attribute_is_in_the_values(roots: list[Node]) -> None:
    documents = [root.written() for root in roots]

    parsed = xml.parse(documents, xml.discover(documents))

    assert parsed.errors.num_rows == 0
    assert parsed.rescued.null_count == len(documents)
    for root, value in zip(roots, parsed.values.to_pylist(), strict=True):
        assert counted(leaves(value)) == counted(root.texts())


@few
@given(nodes, nodes)
def test_what_another_schema_does_not_know_is_rescued(known: list[Node], roots: list[Node]) -> None:
    schema = xml.discover([node.written() for node in known])

    parsed = xml.parse([root.written() for root in roots], schema)

    for row, (root, value, rescued) in enumerate(
        zip(roots, parsed.values.to_pylist(), parsed.rescued.to_pylist(), strict=True)
    ):
        kept = counted(leaves(value)) + counted(leaves(json.loads(rescued or "{}")))
        assert not counted(root.texts()) - kept, f"document {row}"


@few
@given(nodes, nodes, nodes)
def test_merging_schemas_is_associative_and_commutative(one: list[Node], two: list[Node], three: list[Node]) -> None:
    a, b, c = (xml.discover([node.written() for node in part]) for part in (one, two, three))

    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(b).to_json() == b.merge(a).to_json()


@few
@given(st.lists(nodes, max_size=3))
def test_discovery_in_parts_is_discovery_of_all(parts: list[list[Node]]) -> None:
    documents = [[node.written() for node in part] for part in parts]

    merged = xml.discover([])
    for part in documents:
        merged = xml.Schema.from_json(xml.discover(part).to_json()).merge(merged)

    whole = xml.discover([document for part in documents for document in part])
    assert merged.to_json() == whole.to_json()
    assert merged.arrow_type == whole.arrow_type
    assert merged.paths == whole.paths


@few
@given(nodes)
def test_every_value_is_in_the_tables(roots: list[Node]) -> None:
    documents = [root.written() for root in roots]
    schema = xml.discover(documents)

    made = xml.tables(documents, schema, [str(number) for number in range(len(documents))])

    links = {"_key", "_parent_key", "_row_key", "_ordinal"}
    found = [row[name] for table in made.values() for row in table.to_pylist() for name in row if name not in links]
    written = counted(text for root in roots for text in root.texts())
    assert counted(value for value in found if value is not None) == written
    for name, layout in xml.table_layout(schema).items():
        keys = made[name]["_key"].to_pylist()
        assert len(keys) == len(set(keys))
        if layout.parent in made:
            assert set(made[name]["_parent_key"].to_pylist()) <= set(made[layout.parent]["_key"].to_pylist())


@few
@given(nodes.filter(bool), st.data())
def test_every_beginning_of_a_document_is_truncated_and_never_malformed(roots: list[Node], data: st.DataObject) -> None:
    document = '<?xml version="1.0"?>\n<!DOCTYPE r>' + roots[0].written()
    end = data.draw(st.integers(1, len(document) - 1))

    for beginning in (document[:end], document.encode()[:end]):
        (error,) = xml.parse([beginning], xml.Schema.from_ddl("a int")).errors.to_pylist()

        assert (error["rule"], error["path"]) == ("truncated", "")
        assert (error["line"], error["column"]) == (1, end + 1) if end < 22 else error["line"] == 2


@few
@given(st.binary(max_size=40))
def test_no_bytes_can_do_more_than_be_refused(content: bytes) -> None:
    parsed = xml.parse([content, b"<r>" + content + b"</r>"], xml.Schema.from_ddl("a int"))

    assert len(parsed.values) == 2
