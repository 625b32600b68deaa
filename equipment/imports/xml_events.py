"""XML as a stream of events: nothing is kept, nothing is expanded, nothing is fetched."""

from collections.abc import Callable, Iterable, Iterator
from xml.parsers import expat

from django.utils.translation import gettext as _

from equipment.imports import limits
from equipment.imports.exceptions import FileRefused

Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
Characters = Callable[[str], None]


def ignore_end(name: str) -> None:
    pass


def ignore_characters(data: str) -> None:
    pass


def parse(
    chunks: Iterable[bytes], start: Start, end: End = ignore_end, characters: Characters = ignore_characters
) -> None:
    """Read a whole part, calling with local names; raises FileRefused where it is not sound XML."""
    for _chunk in parsing(chunks, start, end, characters):
        pass


def parsing(chunks: Iterable[bytes], start: Start, end: End, characters: Characters) -> Iterator[None]:
    """The same step by step: yields after each chunk, for who wants to take what has been found by then."""
    # Local names only: the two dialects of the format differ in their namespaces and in nothing else.
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = lambda name, attributes: start(name.rsplit(" ", 1)[-1], attributes)
    parser.EndElementHandler = lambda name: end(name.rsplit(" ", 1)[-1])
    parser.CharacterDataHandler = characters
    given = 0
    try:
        for chunk in chunks:
            given += len(chunk)
            parser.Parse(chunk, False)
            # The parser holds a tag or comment that does not end, whole, and starts it anew with each chunk.
            if given - parser.CurrentByteIndex > limits.TAG_BYTES:
                raise FileRefused(_("The XLSX file is damaged: a tag in it never ends."))
            yield
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise FileRefused(_("The XLSX file is damaged: %s.") % error) from None
    yield


def _refuse_doctype(*arguments: object) -> None:
    # Entities are how a small XML file grows without end or reads other files; spreadsheets have none.
    raise FileRefused(_("The XLSX file declares a document type, as no spreadsheet does."))
