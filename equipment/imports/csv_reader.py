"""Rows of a CSV file: UTF-8, with commas, semicolons or tabs."""

import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from django.utils.translation import gettext as _

from equipment.imports import limits
from equipment.imports.exceptions import FileRefused
from equipment.imports.sources import CHUNK_BYTES, Source

DELIMITERS = ",;\t"
DELIMITER_LINE = re.compile(r"""["']?sep=([,;\t])["']?\s*""", re.IGNORECASE)


def read_csv(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Each row of the file with its number, blank ones included as [].

    The first row is 1; a row is a record, however many lines its quoted fields take. Raises FileRefused at the first
    place that cannot be read.
    """
    text = io.TextIOWrapper(source.stream, encoding="utf-8-sig", newline="")
    number = 0
    try:
        first = text.readline(limits.LINE_CHARACTERS)
        delimiter_line = DELIMITER_LINE.fullmatch(first)
        delimiter = delimiter_line[1] if delimiter_line else _delimiter_of(first)
        if delimiter_line:
            number = 1
            yield number, []
            first = text.readline(limits.LINE_CHARACTERS)
        reader = csv.reader(_lines(text, first), delimiter=delimiter, strict=True)
        for row in reader:
            number += 1
            yield number, row
    except UnicodeDecodeError:
        raise _not_utf8(source.stream) from None
    except csv.Error as error:
        raise _unreadable(error, number + 1) from None
    finally:
        # The file belongs to the caller, and a text reader that is thrown away closes what it reads from.
        if not source.stream.closed:
            text.detach()


def _lines(text: io.TextIOWrapper, first: str) -> Iterator[str]:
    line, number = first, 1
    while line:
        if len(line) >= limits.LINE_CHARACTERS:
            raise FileRefused(
                _("Line %(line)d has more than %(limit)d characters.")
                % {"line": number, "limit": limits.LINE_CHARACTERS - 1}
            )
        if "\0" in line:
            raise FileRefused(_("Line %d holds a NUL byte: this is not a text file.") % number)
        yield line
        line, number = text.readline(limits.LINE_CHARACTERS), number + 1


def _delimiter_of(header: str) -> str:
    """The delimiter that cuts the header into the most columns."""
    return max(DELIMITERS, key=header.count)


def _unreadable(error: csv.Error, number: int) -> FileRefused:
    if "field larger" in str(error) or "unexpected end" in str(error):
        return FileRefused(
            _("The quotes do not match: from row %d on, a quoted field never ends or is far too long.") % number
        )
    return FileRefused(
        _("Row %(row)d is not valid CSV: %(reason)s. A quote inside a quoted field is written twice.")
        % {"row": number, "reason": error}
    )


def _not_utf8(stream: BinaryIO) -> FileRefused:
    """Find the byte again: a text reader knows only its place in a chunk."""
    stream.seek(0)
    line, position, rest = 1, 0, b""
    while chunk := stream.read(CHUNK_BYTES):
        data = rest + chunk
        try:
            data.decode("utf-8")
            bad, rest = None, b""
        except UnicodeDecodeError as error:
            # A character may be cut by the end of the chunk; it is whole with the next one.
            cut = error.reason == "unexpected end of data" and error.end == len(data)
            bad, rest = (None, data[error.start :]) if cut else (error.start, b"")
        if bad is not None:
            return _encoding_error(line + data[:bad].count(b"\n"), position + bad)
        read = len(data) - len(rest)
        line, position = line + data[:read].count(b"\n"), position + read
    return _encoding_error(line, position)


def _encoding_error(line: int, position: int) -> FileRefused:
    return FileRefused(
        _(
            "The file is not UTF-8: the byte at position %(position)d, in line %(line)d, does not belong there. "
            "Save it as “CSV UTF-8”, or as XLSX."
        )
        % {"position": position, "line": line}
    )
