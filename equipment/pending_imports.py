"""Register files that were uploaded and previewed, and wait to be confirmed.

They are kept outside the served tree under names drawn at random, each beside a note of who uploaded it and what it
held. Between preview and confirmation nothing of it passes through the browser but that name.
"""

import hashlib
import json
import os
import re
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.utils.translation import gettext as _

from equipment.imports.limits import FILE_BYTES, MEGABYTE

KEPT_SECONDS = 60 * 60
TOKEN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class PendingImport:
    """An uploaded file: `path` is where it lies, `name` what the sender called it."""

    token: str
    user_id: int
    name: str
    sha256: str
    uploaded_at: float

    @property
    def path(self) -> Path:
        return _folder() / self.token

    @property
    def note(self) -> Path:
        return _folder() / f"{self.token}.json"

    def discard(self) -> None:
        """Remove the file; one that is gone already is as good."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def keep(*, file: "File[bytes]", user: Any) -> PendingImport:
    """Store an upload for its user; raises ValidationError for one that is empty or too large."""
    remove_expired()
    if not file.size:
        raise ValidationError(_("The file is empty."))
    if file.size > FILE_BYTES:
        raise ValidationError(
            _("The file has %(size)d MB; at most %(limit)d MB are accepted.")
            % {"size": -(-file.size // MEGABYTE), "limit": FILE_BYTES // MEGABYTE}
        )
    token = secrets.token_hex(16)
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = hashlib.sha256()
    with _new_file(folder / token) as stored:
        for chunk in file.chunks():
            digest.update(chunk)
            stored.write(chunk)
    pending = PendingImport(token, user.pk, (file.name or "upload")[:255], digest.hexdigest(), time.time())
    with _new_file(pending.note) as note:
        note.write(json.dumps(asdict(pending)).encode())
    return pending


def find(*, token: str, user: Any) -> PendingImport:
    """The user's upload of that name; raises ValidationError if there is none, it is too old or was altered."""
    gone = ValidationError(_("This upload is no longer there: upload the file again."))
    if not TOKEN.fullmatch(token):
        raise gone
    try:
        pending = PendingImport(**json.loads((_folder() / f"{token}.json").read_text(encoding="utf-8")))
        with pending.path.open("rb") as stored:
            digest = hashlib.file_digest(stored, "sha256").hexdigest()
    except (OSError, ValueError, TypeError):
        raise gone from None
    if pending.user_id != user.pk or pending.sha256 != digest or time.time() - pending.uploaded_at > KEPT_SECONDS:
        raise gone
    return pending


def remove_expired() -> int:
    """Remove what nobody confirmed in time; returns how many files."""
    removed = 0
    folder = _folder()
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            expired = time.time() - path.stat().st_mtime > KEPT_SECONDS
        except FileNotFoundError:  # Somebody else's upload or clean-up was faster.
            continue
        if expired:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _folder() -> Path:
    return Path(settings.MEDIA_ROOT) / "imports"


def _new_file(path: Path) -> BinaryIO:
    """A new file that this user alone can read from the moment it exists."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
