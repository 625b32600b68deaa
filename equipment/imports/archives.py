"""The archive an XLSX file is: its parts, read in chunks and never further than their limit."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from django.utils.translation import gettext as _

from equipment.imports import limits
from equipment.imports.exceptions import FileRefused

CHUNK_BYTES = 64 * 1024
ENCRYPTED = 0x1
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
END_RECORD = struct.Struct("<4s4H2LH")
END_SIGNATURE = b"PK\x05\x06"
LOCATOR_SIGNATURE = b"PK\x06\x07"
LONGEST_COMMENT = 65_535
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


class Archive:
    """The parts of an XLSX file. `unpacked_bytes` counts what was really unpacked, whatever the directory claims."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.unpacked_bytes = 0

    def __contains__(self, part: str) -> bool:
        return part in self._archive.NameToInfo

    def size(self, part: str) -> int:
        """Unpacked bytes of a part by the directory."""
        return self._archive.NameToInfo[part].file_size

    def chunks(self, part: str, limit_bytes: int) -> Iterator[bytes]:
        """A part's bytes; raises FileRefused where there are more than the limit, or the part is damaged."""
        if part not in self:
            raise FileRefused(_("The XLSX file is damaged: its part %s is missing.") % part)
        read = 0
        try:
            with self._archive.open(part) as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    read += len(chunk)
                    self.unpacked_bytes += len(chunk)
                    if read > limit_bytes or self.unpacked_bytes > limits.ARCHIVE_BYTES:
                        raise _too_large()
                    yield chunk
        except DAMAGED as error:
            raise _damaged(error) from None


@contextmanager
def opened_archive(stream: BinaryIO) -> Iterator[Archive]:
    """The archive, refused by its directory alone where it is too large, encrypted or made to unpack for ever."""
    _check_directory(stream)
    try:
        archive = zipfile.ZipFile(stream)
    except DAMAGED as error:
        raise _damaged(error) from None
    with archive:
        parts = archive.infolist()
        if len(parts) > limits.ARCHIVE_PARTS:
            raise FileRefused(_("The XLSX file has %d parts; no spreadsheet has that many.") % len(parts))
        if sum(part.file_size for part in parts) > limits.ARCHIVE_BYTES:
            raise _too_large()
        places = {part.header_offset for part in parts}
        if min(len(places), len({part.filename for part in parts})) < len(parts):
            raise FileRefused(_("The XLSX file is damaged: it holds a part twice."))
        for part in parts:
            if part.flag_bits & ENCRYPTED:
                raise FileRefused(_("The XLSX file has a password. Save it without one."))
            if part.compress_type not in METHODS:
                raise FileRefused(_("The XLSX file is packed in a way no spreadsheet program uses."))
        yield Archive(archive)


def _check_directory(stream: BinaryIO) -> None:
    """Refuse a directory of a million parts before it is read: its size stands in the last record of the file."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - END_RECORD.size - LONGEST_COMMENT))
    tail = stream.read()
    stream.seek(0)
    for position in {len(tail) - END_RECORD.size, tail.rfind(END_SIGNATURE)}:
        if position < 0 or not tail.startswith(END_SIGNATURE, position) or position + END_RECORD.size > len(tail):
            continue
        directory_bytes = END_RECORD.unpack_from(tail, position)[5]
        # The locator of the long form of the directory stands right before: only archives over 4 GB need it.
        long_form = tail[max(0, position - 20) : position].startswith(LOCATOR_SIGNATURE)
        if directory_bytes > limits.DIRECTORY_BYTES or long_form:
            raise FileRefused(_("The XLSX file has more parts than any spreadsheet."))


def _too_large() -> FileRefused:
    return FileRefused(
        _("The XLSX file unpacks to more than %d MB and is refused unread.") % (limits.ARCHIVE_BYTES // limits.MEGABYTE)
    )


def _damaged(error: Exception) -> FileRefused:
    return FileRefused(_("The XLSX file is damaged: %s.") % error)
