"""The elements of one document, as a light tree."""

from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr


@dataclass(slots=True)
class Element:
    """An element as written: attributes, then text and children in their order."""

    name: str
    attributes: list[tuple[str, str]]
    line: int
    column: int
    content: "list[Element | str]" = field(default_factory=list)

    def runs(self) -> list[str]:
        """The texts between children that are not blank."""
        return [part for part in self.content if isinstance(part, str) and part.strip(" \t\r\n")]

    def is_text(self) -> bool:
        """Whether no element stands inside."""
        return not any([isinstance(part, Element) for part in self.content])

    def text(self) -> str:
        """All text directly inside, blanks included."""
        return "".join([part for part in self.content if isinstance(part, str)])

    def inner_xml(self) -> str:
        """What stands between the tags."""
        parts = []
        for part in self.content:
            if isinstance(part, str):
                parts.append(escape(part))
                continue
            attributes = "".join(f" {name}={quoteattr(value)}" for name, value in part.attributes)
            parts.append(f"<{part.name}{attributes}>{part.inner_xml()}</{part.name}>")
        return "".join(parts)


def drop_incomplete(chain: list[Element]) -> Element | None:
    """Cut what follows the last complete element out of those that are open, outermost first; give that element."""
    while chain:
        content = chain[-1].content
        while content and isinstance(content[-1], str):
            content.pop()
        if content:
            return content[-1] if isinstance(content[-1], Element) else None
        chain.pop()
        if chain:
            chain[-1].content.pop()
    return None
