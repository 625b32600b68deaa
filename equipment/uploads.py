"""What may be uploaded: size and type, judged by the content and not only by the name."""

from pathlib import PurePath

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.utils.translation import gettext_lazy as _
from PIL import Image, UnidentifiedImageError

PHOTO_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
LARGEST_PHOTO_PIXELS = 64_000_000

# How files of each ending begin. What a browser would run (HTML, SVG) is not among them.
DOCUMENT_BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    ".pdf": (b"%PDF-",),
    ".docx": (b"PK\x03\x04",),
    ".xlsx": (b"PK\x03\x04",),
    ".odt": (b"PK\x03\x04",),
    ".ods": (b"PK\x03\x04",),
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
}
TEXT_ENDINGS = (".txt", ".csv")


def validate_size(file: File) -> None:
    """Refuse an empty file and one over UPLOAD_MAX_BYTES."""
    if not file.size:
        raise ValidationError(_("The file is empty."))
    if file.size > settings.UPLOAD_MAX_BYTES:
        raise ValidationError(
            _("The file has %(size)d MB; at most %(limit)d MB are accepted.")
            % {"size": file.size // 2**20 + 1, "limit": settings.UPLOAD_MAX_BYTES // 2**20}
        )


def validate_photo(file: File) -> None:
    """Accept JPEG, PNG and WebP pictures that can be read and are not made to exhaust memory."""
    validate_size(file)
    wanted = PHOTO_FORMATS.get(PurePath(file.name or "").suffix.lower())
    if wanted is None:
        raise ValidationError(_("Photos are JPEG, PNG or WebP files."))
    try:
        file.seek(0)
        with Image.open(file, formats=[wanted]) as picture:
            width, height = picture.size
            if width * height > LARGEST_PHOTO_PIXELS:
                raise ValidationError(_("The photo has too many pixels."))
            picture.verify()
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
        OSError,
        SyntaxError,
        ValueError,
    ) as error:
        raise ValidationError(_("The file is not a readable %s picture.") % wanted) from error
    finally:
        file.seek(0)


def validate_document(file: File) -> None:
    """Accept PDF, office files, pictures and plain text whose content begins as the ending says."""
    validate_size(file)
    ending = PurePath(file.name or "").suffix.lower()
    file.seek(0)
    beginning = file.read(4096)
    file.seek(0)
    if ending in TEXT_ENDINGS:
        if b"\x00" in beginning:
            raise ValidationError(_("The file is not plain text."))
        return
    beginnings = DOCUMENT_BEGINNINGS.get(ending)
    if beginnings is None:
        raise ValidationError(
            _("Documents are of these kinds: %s.") % ", ".join(sorted([*DOCUMENT_BEGINNINGS, *TEXT_ENDINGS]))
        )
    if not beginning.startswith(beginnings):
        raise ValidationError(_("The content of the file is not what its ending says."))
