"""Makes the groups after each migration, puts users and preferences under audit, and tells the engine what is cached
of people."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class DashboardConfig(AppConfig):
    name = "dashboard"
    verbose_name = _("Dashboard")

    def ready(self) -> None:
        from django.contrib.auth.models import Group, User

        from audit.receivers import watch
        from dashboard import caches
        from dashboard.groups import make_groups_after_migrate
        from dashboard.models import UserPreferences

        post_migrate.connect(make_groups_after_migrate, sender=self, dispatch_uid="dashboard.groups")
        watch(User, exclude=("last_login",))
        watch(Group)
        watch(UserPreferences)
        caches.declare()
