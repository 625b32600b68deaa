"""Errors of the engine.

InvalidationError
├── DeclarationError            a declaration that contradicts itself or comes too late
├── UnkeyableValueError         a value that cannot be part of a key
├── UndeclaredDependencyError   a fill read a table that its declaration does not name, or named one it did not read
├── WithheldNameError           a fragment's template asked for what only a request has
├── StoreError                  Redis did not answer, or not in a way that can be believed
│   └── StoreUnavailableError   the breaker is open: not asked
└── WriteRefusedError           nothing was committed: the fence could not be raised (also a Django OperationalError)
    └── WriteInterruptedError   the same, because the process was told to stop (also a KeyboardInterrupt)
"""

from django.db import OperationalError


class InvalidationError(Exception):
    """Anything the engine raises."""


class DeclarationError(InvalidationError):
    pass


class UnkeyableValueError(InvalidationError, TypeError):
    pass


class UndeclaredDependencyError(InvalidationError):
    pass


class WithheldNameError(InvalidationError):
    pass


class StoreError(InvalidationError):
    pass


class StoreUnavailableError(StoreError):
    pass


class WriteRefusedError(InvalidationError, OperationalError):
    """Nothing was committed and the connection is usable.

    An OperationalError, because Django's `Atomic` rolls back for a database error and commits on SQLite for others.
    """


class WriteInterruptedError(WriteRefusedError, KeyboardInterrupt):
    pass
