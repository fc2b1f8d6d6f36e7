"""XML read as a stream that stops at a document type: no entity is ever expanded, no file or address ever opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from xml.parsers import expat

from kiban.office.guards.inspection.report import Stop

# Called with an element's local name, its attributes by local name, and its own text (without that of its children).
OnElement = Callable[[str, Mapping[str, str], str], None]


def looks_like_xml(data: bytes) -> bool:
    head = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return head.startswith((b"<", b"\xff\xfe<", b"\xfe\xff\x00<", b"<\x00", b"\x00<"))


def scan_xml(name: str, data: bytes, on_element: OnElement, *, texts: frozenset[str] = frozenset()) -> None:
    """Call `on_element` at each element's end.

    Args:
        texts: local names of the elements whose text is wanted; for others it is empty.

    Raises:
        Stop: a document type or entity declaration, or not well formed.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    open_elements: list[tuple[str, dict[str, str], list[str]]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        local = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        open_elements.append((tag.rpartition(" ")[2], local, []))

    def end(_: str) -> None:
        local, attributes, pieces = open_elements.pop()
        on_element(local, attributes, "".join(pieces))

    def text(piece: str) -> None:
        if open_elements and open_elements[-1][0] in texts:
            open_elements[-1][2].append(piece)

    def declared(*_: object) -> int:
        raise Stop("xml_entities", name)

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = declared
    parser.EntityDeclHandler = declared
    parser.ExternalEntityRefHandler = declared
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise Stop("damaged", f"{name}: {error}") from None
