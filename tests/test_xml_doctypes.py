"""Documents behind a DOCTYPE: one that says nothing about values is passed over, with the answers of a reader that
sees it."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher import xml
from thresher.xml import decoding
from thresher.xml.doctypes import silent_end
from thresher.xml.reference import Reference

SCHEMA = xml.Schema.from_ddl("_k string, a int, b array<struct<_VALUE: string, _k: string>>")
DECLARATIONS = [
    "<!ELEMENT p (a, b*)>", "<!ELEMENT b (#PCDATA)>", "<!ELEMENT a EMPTY>", "<!ELEMENT p ((a|b)+,(c?,d)*)>", "\n",
    "<!-- > ]> ' -->", "<?pi ]> \"?>", "<!NOTATION n SYSTEM 'n.exe'>", "<!NOTATION n PUBLIC \"]>\">",
    "<!ATTLIST b k CDATA #IMPLIED>", "<!ATTLIST p k CDATA 'a > b'>", "<!ATTLIST b k NMTOKENS #IMPLIED>",
    "<!ATTLIST b k (x|y) 'x'>", "<!ATTLIST p k ID #REQUIRED j CDATA #FIXED \"]>\">",
    # what must be seen: faults and entities
    "<!ELEMENT p (a>", "<!ELEMENT p>", "<!ATTLIST b k CDATA '&x;'>", "<!ATTLIST b k CDATA '<'>", "<!-- -- -->", "x",
    "<!ENTITY x 'y'>", "<!ENTITY % x 'y'>", "%x;", "]>", "<!ELEMENT é ANY>", "<?xml version='1.0'?>", "\x01", "'",
]  # fmt: skip
NAMES = ["p", "p SYSTEM 'p.dtd'", "p PUBLIC '-//p' 'p>.dtd'", "p SYSTEM", "", "p:q", 'p SYSTEM "]"']
BEFORE = ["", "\n ", "<!-- <!DOCTYPE q> -->", "<?style x?>", "<?xml version='1.0'?>", "<!-- -- -->"]
VALUES = ["x", " x ", "x  y", "x\ty", "x\n\ny", "x&#32;", "&#32;&#32;x", "&amp;", "&x;", "a=' b'", ""]
BODIES = [
    "<p k='{}'><a>1</a><b k = \"{}\">t</b></p>", "<p><a>x</a>\n<b k=\"{}\"/><c k='{}'/></p>",
    "<p><a>{}</a><b>{}</b></p>", "<p k=\"{}\"><a>{}</p>", "<p k='{}'>", "",
]  # fmt: skip


def seen(document: str) -> tuple[Any, ...]:
    """What becomes of one document, without the text that errors show: a DOCTYPE is blank there, or not."""
    row = Reference(SCHEMA, SCHEMA.options).row(document, True)
    return row.value, row.rescued, [{**error, "snippet": None} for error in row.errors]


@st.composite
def documents(draw: st.DrawFn) -> str:
    inner = "".join(draw(st.lists(st.sampled_from(DECLARATIONS), max_size=4)))
    subset = draw(st.sampled_from(["", f"[{inner}]", f" [{inner}] "]))
    doctype = f"<!DOCTYPE {draw(st.sampled_from(NAMES))}{subset}>"
    body = draw(st.sampled_from(BODIES)).format(*(draw(st.sampled_from(VALUES)) for _ in range(2)))
    return draw(st.sampled_from(BEFORE)) + doctype + draw(st.sampled_from(["", "\n", "<!-- c -->"])) + body


@settings(max_examples=300, deadline=None, derandomize=True)
@given(document=documents())
def test_a_doctype_that_is_passed_over_changes_nothing(document: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decoding, "silent_end", lambda text, **_: 0)
        expected = seen(document)
    assert seen(document) == expected


@settings(max_examples=15, deadline=None, derandomize=True)
@given(found=st.lists(documents(), min_size=8, max_size=40))
def test_the_loops_read_what_stands_behind_it(found: list[str]) -> None:
    plain = [f"<p k='{'x' * 2_000}'><a>1</a></p>"] * 1_200  # enough for the loops to be used
    parsed = xml.parse(pa.array([*found, *plain]), SCHEMA, threads=1)
    errors: dict[int, list[Any]] = {}
    for error in parsed.errors.to_pylist():
        errors.setdefault(error.pop("row"), []).append({**error, "snippet": None})
    rows = [(parsed.values[at].as_py(), parsed.rescued[at].as_py(), errors.get(at, [])) for at in range(len(found))]
    assert rows == [seen(document) for document in found]


@pytest.mark.parametrize(
    ("doctype", "is_silent"),
    [
        ("<!DOCTYPE p>", True),
        ("<!DOCTYPE p [<!ELEMENT p (a, (b | c)*)><!-- ]> --><?x ]>?>]>", True),
        ("<!-- c -->\n<!DOCTYPE p PUBLIC '-//p' 'p.dtd' [<!ATTLIST p k CDATA '>' j ID #IMPLIED>] >", True),
        ("<!DOCTYPE p [<!ENTITY x 'y'>]>", False),
        ("<!DOCTYPE p [<!ENTITY % x 'y'>]>", False),
        ("<!DOCTYPE p [%x;]>", True),
        ("<!DOCTYPE p [<!ELEMENT p (a>]>", False),
        ("<!DOCTYPE p><!-- two of them --> <!DOCTYPE p>", False),
    ],
)
def test_which_doctypes_are_passed_over(doctype: str, is_silent: bool) -> None:
    assert silent_end(f"{doctype}<p/>") == (len(doctype) if is_silent else 0)


def test_attributes_that_are_declared_as_names_keep_their_blanks_only_once() -> None:
    doctype = "<!DOCTYPE p [<!ATTLIST p k NMTOKENS #IMPLIED>]>"
    assert [seen(f"{doctype}<p k='{value}'/>")[0]["_k"] for value in ("x y", " x  y ")] == ["x y", "x y"]
    assert seen("<!DOCTYPE p><p k=' x  y '/>")[0]["_k"] == "x  y"
