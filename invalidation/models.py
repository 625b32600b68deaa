"""What the engine keeps in the database: where its writers fence, and writes that Redis has still to be told of."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class CacheHome(models.Model):
    """The Redis that every writer of this database has to fence; one row, or none before the site's first start."""

    place = models.TextField(_("place"))

    class Meta:
        verbose_name = _("place of the cache")
        verbose_name_plural = _("place of the cache")
        default_permissions = ()
        constraints = [models.CheckConstraint(name="invalidation_one_home", condition=models.Q(pk=1))]

    def __str__(self) -> str:
        return self.place


class OutboxEntry(models.Model):
    """The tags of one committed write that Redis could not be told of; gone once it was."""

    tags = models.JSONField(_("tags"))
    written_at = models.DateTimeField(_("written at"))

    class Meta:
        verbose_name = _("outbox entry")
        verbose_name_plural = _("outbox entries")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{len(self.tags)} tags of {self.written_at:%Y-%m-%d %H:%M:%S}"


class Probe(models.Model):
    """A row of one check whether writes are visible at once; gone when the check is over."""

    name = models.CharField(_("name"), max_length=64, db_index=True)
    value = models.IntegerField(_("value"))

    class Meta:
        verbose_name = _("probe")
        verbose_name_plural = _("probes")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"
