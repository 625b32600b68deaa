"""Stored files follow their rows: gone with the row, or when another file takes their place."""

from functools import partial
from typing import Any

from django.db import models, transaction
from django.db.models.signals import post_delete, post_save, pre_save


def keep_files_with_rows(model: type[models.Model]) -> None:
    """Remove the file of each instance of `model`, in its field `file`, once nothing refers to it any more.

    This happens after the commit: a deletion that is rolled back has lost nothing. Call it in an app's `ready()`.
    """
    label = model._meta.label_lower
    pre_save.connect(remember_file, sender=model, dispatch_uid=f"equipment.remember_file.{label}")
    post_save.connect(remove_replaced_file, sender=model, dispatch_uid=f"equipment.remove_replaced_file.{label}")
    post_delete.connect(remove_file, sender=model, dispatch_uid=f"equipment.remove_file.{label}")


def remember_file(sender: type[models.Model], instance: Any, using: str, **kwargs: Any) -> None:
    """Keep the name of the file that is stored now on the instance."""
    stored = sender._default_manager.using(using).filter(pk=instance.pk).values_list("file", flat=True)
    instance._file_before = stored.first() if instance.pk else None


def remove_replaced_file(sender: type[models.Model], instance: Any, using: str, **kwargs: Any) -> None:
    before = instance.__dict__.pop("_file_before", None)
    if before:
        _remove_after_commit(sender, instance, before, using)


def remove_file(sender: type[models.Model], instance: Any, using: str, **kwargs: Any) -> None:
    if instance.file:
        _remove_after_commit(sender, instance, instance.file.name, using)


def _remove_after_commit(sender: type[models.Model], instance: Any, name: str, using: str) -> None:
    remove = partial(_remove_unused, sender, instance.file.storage, name, using)
    # Robust: the row is gone by then, and a file that cannot be removed is for the log, not for the user.
    transaction.on_commit(remove, using=using, robust=True)


def _remove_unused(sender: type[models.Model], storage: Any, name: str, using: str) -> None:
    if not sender._default_manager.using(using).filter(file=name).exists():
        storage.delete(name)
