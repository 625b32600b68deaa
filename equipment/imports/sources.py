"""The file itself: opened, measured, told apart by how it begins."""

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.utils.translation import gettext as _

from equipment.imports import limits
from equipment.imports.exceptions import FileRefused

CHUNK_BYTES = 256 * 1024
ZIP_BEGINNING = b"PK\x03\x04"
OLD_OFFICE_BEGINNING = b"\xd0\xcf\x11\xe0"
UTF16_BEGINNINGS = (b"\xff\xfe", b"\xfe\xff")
# Tab, line feed, form feed, carriage return, escape: the rest of the control characters is not in any text.
BINARY_BYTES = frozenset(range(32)) - {9, 10, 12, 13, 27}


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import: open for reading at its start, `size` in bytes."""

    stream: BinaryIO
    name: str
    size: int
    sha256: str
    is_xlsx: bool


@contextmanager
def opened(source: Path | BinaryIO, name: str = "") -> Iterator[Source]:
    """The file, measured; raises FileRefused where it is missing, empty, too large or neither CSV nor XLSX."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        with _opened_path(path) as stream:
            yield _measured(stream, name or path.name)
    else:
        yield _measured(source, name or os.path.basename(str(getattr(source, "name", "") or "")) or "upload")


def _opened_path(path: Path) -> BinaryIO:
    try:
        # NONBLOCK: opening a pipe would otherwise wait for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise FileRefused(_("There is no file %s.") % path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileRefused(_("%(file)s cannot be opened: %(reason)s.") % {"file": path, "reason": reason}) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileRefused(_("%s is not a file.") % path)
    return os.fdopen(descriptor, "rb")


def _measured(stream: BinaryIO, name: str) -> Source:
    size = stream.seek(0, io.SEEK_END)
    if size == 0:
        raise FileRefused(_("The file is empty."))
    if size > limits.FILE_BYTES:
        raise FileRefused(
            _("The file has %(size)d MB; at most %(limit)d MB are accepted.")
            % {"size": -(-size // limits.MEGABYTE), "limit": limits.FILE_BYTES // limits.MEGABYTE}
        )
    stream.seek(0)
    digest = hashlib.sha256()
    beginning = stream.read(CHUNK_BYTES)
    is_xlsx = _is_xlsx(beginning, name)
    chunk = beginning
    while chunk:
        digest.update(chunk)
        chunk = stream.read(CHUNK_BYTES)
    stream.seek(0)
    return Source(stream, name, size, digest.hexdigest(), is_xlsx)


def _is_xlsx(beginning: bytes, name: str) -> bool:
    if beginning.startswith(ZIP_BEGINNING):
        return True
    if beginning.startswith(OLD_OFFICE_BEGINNING):
        raise FileRefused(
            _("This is an old Excel file (.xls) or one with a password. Save it as .xlsx without a password.")
        )
    if beginning.startswith(UTF16_BEGINNINGS):
        raise FileRefused(_("The file is not UTF-8 but UTF-16. Save it as “CSV UTF-8”, or as XLSX."))
    if name.lower().endswith(".xlsx"):
        raise FileRefused(_("The file is named .xlsx but is not an XLSX file."))
    if any(byte in BINARY_BYTES for byte in beginning[:8192]):
        raise FileRefused(_("The file is neither CSV nor XLSX: it holds binary data."))
    return False
