"""Connects the audit to sign-ins and keeps its table closed to changes."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = _("Audit")

    def ready(self) -> None:
        from audit import receivers, triggers
        from audit.statements import observe
        from invalidation.statements import observers

        post_migrate.connect(triggers.install_after_migrate, sender=self, dispatch_uid="audit.triggers")
        user_logged_in.connect(receivers.record_sign_in, dispatch_uid="audit.sign_in")
        user_logged_out.connect(receivers.record_sign_out, dispatch_uid="audit.sign_out")
        user_login_failed.connect(receivers.record_failed_sign_in, dispatch_uid="audit.sign_in_failed")
        if observe not in observers:
            observers.append(observe)
