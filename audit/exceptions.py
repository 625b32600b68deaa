"""Errors of the audit."""


class AuditError(Exception):
    """Anything the audit refuses."""


class AppendOnlyError(AuditError):
    """An audit row was to be changed or deleted."""
