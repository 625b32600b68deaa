"""Uploads are judged by what is in them."""

import io
import struct
import zlib

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from equipment.models.files import document_path, photo_path
from equipment.uploads import LARGEST_PHOTO_PIXELS, validate_document, validate_photo

pytestmark = pytest.mark.once


def picture(kind="PNG", size=(8, 8)):
    data = io.BytesIO()
    Image.new("RGB", size, "navy").save(data, kind)
    return data.getvalue()


def upload(name, content):
    return SimpleUploadedFile(name, content)


def png_that_claims(width, height):
    """A PNG of a few bytes whose header promises a picture of this size."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("A.JPEG", "JPEG"), ("a.webp", "WEBP")]
)
def test_a_picture_is_accepted_and_can_be_read_afterwards(name, kind):
    content = picture(kind)
    file = upload(name, content)

    validate_photo(file)

    assert file.read() == content


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", b"<script>alert(1)</script>"),
        ("a.png", b"GIF89a<script>alert(1)</script>"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("a.html", b"\x89PNG\r\n\x1a\n"),
        ("a.png.exe", picture()),
        ("a", picture()),
        ("a.jpg", picture("PNG")),
        ("a.png", picture("GIF")),
        ("a.png", picture()[:40]),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\x00" * 64),
        ("a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
    ],
)
def test_what_is_not_the_picture_it_claims_to_be_is_refused(name, content):
    with pytest.raises(ValidationError):
        validate_photo(upload(name, content))


@pytest.mark.parametrize("size", [(8_001, 8_000), (10_000, 9_500), (60_000, 60_000)])
def test_a_picture_made_to_exhaust_memory_is_refused(size):
    content = png_that_claims(*size)

    with pytest.raises(ValidationError):
        validate_photo(upload("bomb.png", content))

    assert size[0] * size[1] > LARGEST_PHOTO_PIXELS
    assert len(content) < 200


def test_a_file_over_the_limit_is_refused_with_both_sizes(settings):
    settings.UPLOAD_MAX_BYTES = 2**20

    with pytest.raises(ValidationError, match=r"2 MB.*1 MB"):
        validate_document(upload("a.txt", b"x" * (2**20 + 1)))


@pytest.mark.parametrize("validate", [validate_photo, validate_document])
def test_an_empty_file_is_refused(validate):
    with pytest.raises(ValidationError, match="empty"):
        validate(upload("a.png", b""))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", b"%PDF-1.7\n"),
        ("a.PDF", b"%PDF-1.4\n"),
        ("a.txt", "Prüfbericht".encode()),
        ("a.csv", b"a,b\n1,2\n"),
        ("a.png", picture()),
        ("a.docx", b"PK\x03\x04rest"),
    ],
)
def test_a_document_that_begins_as_its_ending_says_is_accepted(name, content):
    file = upload(name, content)

    validate_document(file)

    # Judged without being used up: what is stored afterwards is the whole file.
    assert file.read() == content


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", b"<html><body onload=alert(1)>%PDF-1.7"),
        ("a.pdf", b"MZ\x90\x00"),
        ("a.docx", b"%PDF-1.7"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0"),
        ("a.txt", b"MZ\x90\x00\x03"),
        ("a.html", b"<html></html>"),
        ("a.svg", b"<svg/>"),
        ("a.js", b"alert(1)"),
        ("a.pdf.html", b"%PDF-1.7"),
        ("noending", b"%PDF-1.7"),
    ],
)
def test_a_document_of_another_kind_is_refused(name, content):
    with pytest.raises(ValidationError):
        validate_document(upload(name, content))


@pytest.mark.parametrize("path", [photo_path, document_path])
@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/cron.d/job.png", "a" * 300 + ".png", "x.png\x00.html", "ü.PNG"]
)
def test_nothing_the_sender_chose_reaches_the_file_system_but_an_ending(path, name):
    stored = path(None, name)

    folder, _slash, rest = stored.partition("/")
    assert folder in {"photos", "documents"}
    assert "/" not in rest
    assert ".." not in rest
    assert len(rest) <= 32 + 8
    assert path(None, name) != stored
