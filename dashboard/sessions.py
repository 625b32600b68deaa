"""Sessions as rows of the database, read through the cache: one that has ended is dead on the next request.

A row is named by a digest of its session's key. Names of rows are known to Redis (its tags and entries bear them) and
to every backup; the key itself, which opens the session, is known to the browser alone.
"""

from hashlib import blake2b
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session

from dashboard.caches import session_salt, stored_session
from invalidation import clock

ROW_KEY_BYTES = 20  # 40 letters, as long as the column


def row_key(session_key: str) -> str:
    """The primary key of the session's row. A session key has 165 bits of chance: nobody finds it by trying."""
    return blake2b(session_key.encode(), digest_size=ROW_KEY_BYTES, person=b"session row").hexdigest()


class SessionStore(DatabaseSessionStore):
    """Django's own, but for the names of the rows, the signature, which holds for one session alone, and `load`."""

    @property
    def key_salt(self) -> str:
        return session_salt(row_key(self.session_key)) if self.session_key else ""

    def load(self) -> dict[str, Any]:
        """What the session holds; empty for one that has ended or never was."""
        try:
            stored = stored_session(row_key=row_key(self.session_key or ""))
        except Session.DoesNotExist:
            stored = None
        if stored is None or stored.expires_at <= clock.now():
            self._session_key = None
            return {}
        if stored.data is None:
            return super().load()
        return self.decode(stored.data)

    def _get_session_from_db(self) -> Session | None:
        found = Session.objects.filter(pk=row_key(self.session_key or ""), expire_date__gt=clock.now()).first()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        return super().exists(row_key(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        instance = super().create_model_instance(data)
        instance.session_key = row_key(instance.session_key)
        return instance

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            super().delete(row_key(key))

    # Django's own would ask the database for the key itself.

    async def aload(self) -> dict[str, Any]:
        return await sync_to_async(self.load)()

    async def aexists(self, session_key: str) -> bool:
        return await sync_to_async(self.exists)(session_key)

    async def acreate_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        return await sync_to_async(self.create_model_instance)(data)

    async def adelete(self, session_key: str | None = None) -> None:
        await sync_to_async(self.delete)(session_key)
