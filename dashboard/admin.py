"""Users, groups, preferences and the audit in the admin."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from audit.admin import AuditLogAdmin
from audit.models import AuditLog
from dashboard.groups import GROUPS
from dashboard.models import UserPreferences
from dashboard.rights import assignable_groups, grantable_permissions, manageable_users
from locations.admin import LocationLimitInline
from locations.limited_admin import LimitedAdmin
from locations.limited_deletion import DeletionWithinLimits
from locations.querysets import limit_paths

admin.site.unregister(User)
admin.site.unregister(Group)
admin.site.unregister(AuditLog)


class LimitFormSet(forms.BaseInlineFormSet):
    """A limited administrator can make only users who are limited to the same places or less."""

    required = False

    def clean(self) -> None:
        super().clean()
        kept = [form for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        if self.required and not kept:
            raise forms.ValidationError(_("Limit this user to a location: you are limited to some yourself."))


class UserLimitInline(LocationLimitInline):
    formset = LimitFormSet

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        formset.required = limit_paths(request.user) is not None
        return formset

    def _may_write(self, request: HttpRequest, obj: Any) -> bool:
        # Nobody lifts their own limits.
        return obj is None or obj.pk != request.user.pk or request.user.is_superuser

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_add_permission(request, obj) and self._may_write(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_write(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._may_write(request, obj)


@admin.register(User)
class PlumblineUserAdmin(DeletionWithinLimits, UserAdmin):
    """Users, managed by administrators who can give no right they lack.

    Only superusers see superusers' rights, make them, or grant single permissions. An administrator reaches the users
    whose rights are a part of their own (`dashboard.rights`).
    """

    list_display = [
        "username", "first_name", "last_name", "email", "group_names", "is_staff", "is_active", "last_login",
    ]  # fmt: skip
    list_filter = ["is_active", "is_staff", "groups"]
    readonly_fields = ["last_login", "date_joined"]
    filter_horizontal = ()
    autocomplete_fields = ["user_permissions"]
    show_full_result_count = False
    actions = ["deactivate", "activate"]
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (
            _("Rights"),
            {
                "fields": ("is_active", "is_staff", "groups"),
                "description": _("Deactivate users who left: deleting one takes their name off what they did."),
            },
        ),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    for_superusers = ((_("Rights of a superuser"), {"fields": ("is_superuser", "user_permissions")}),)
    own_readonly = ("is_active", "is_staff", "groups")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return (*fieldsets, (_("Rights"), {"fields": ("is_staff", "groups")}))
        return (*fieldsets, *self.for_superusers) if request.user.is_superuser else fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = tuple(super().get_readonly_fields(request, obj))
        if obj is not None and obj.pk == request.user.pk and not request.user.is_superuser:
            return (*fields, *self.own_readonly)
        return fields

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        return [UserLimitInline]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        users = super().get_queryset(request)
        if self._is_pick_list(request):
            # Any colleague may be chosen as custodian or engineer.
            return users.filter(is_active=True)
        return users.prefetch_related("groups").filter(manageable_users(request.user))

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs["queryset"] = assignable_groups(request.user)
            kwargs["widget"] = forms.CheckboxSelectMultiple()
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if self._is_pick_list(request) and obj is None:
            return request.user.has_perm("equipment.change_equipment")
        return super().has_view_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.pk != request.user.pk)

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        if not request.user.is_superuser:
            actions.pop("delete_selected", None)
        return actions

    def autocomplete_label(self, obj: User, limits: list[str] | None) -> str:
        full = obj.get_full_name()
        return f"{full} ({obj.get_username()})" if full else obj.get_username()

    @admin.display(description=_("groups"))
    def group_names(self, row: User) -> str:
        return ", ".join(group.name for group in row.groups.all())

    @admin.action(description=_("Deactivate: no longer may sign in"), permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: "QuerySet[User]") -> None:
        self._set_active(request, queryset, is_active=False)

    @admin.action(description=_("Activate"), permissions=["change"])
    def activate(self, request: HttpRequest, queryset: "QuerySet[User]") -> None:
        self._set_active(request, queryset, is_active=True)

    @transaction.atomic
    def _set_active(self, request: HttpRequest, queryset: "QuerySet[User]", *, is_active: bool) -> None:
        changed = 0
        for user in queryset.exclude(is_active=is_active).order_by("pk"):
            if user == request.user:
                continue
            user.is_active = is_active
            user.save(update_fields=["is_active"])  # One by one: each leaves its audit record.
            changed += 1
        text = ngettext("%d user was changed.", "%d users were changed.", changed) % changed
        self.message_user(request, text, messages.SUCCESS if changed else messages.INFO)

    def _is_pick_list(self, request: HttpRequest) -> bool:
        return request.resolver_match is not None and request.resolver_match.url_name == "autocomplete"


@admin.register(Group)
class PlumblineGroupAdmin(GroupAdmin):
    """Groups. The built-in three get exactly their permissions at each migration, whatever was changed by hand.

    A group is shared by its members: somebody who is limited to locations, or cannot manage each member, reads only.
    """

    list_display = ["name", "member_count"]
    filter_horizontal = ()
    autocomplete_fields = ["permissions"]
    show_full_result_count = False

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        shown = [row.pk for row in changelist.result_list]
        members = User.groups.through.objects.filter(group__in=shown).values_list("group_id", flat=True)
        for row in changelist.result_list:
            row.members = sum(1 for group_id in members if group_id == row.pk)
        return changelist

    @admin.display(description=_("members"))
    def member_count(self, row: Group) -> int:
        return getattr(row, "members", 0)

    def _may_write(self, request: HttpRequest, obj: Group | None) -> bool:
        if request.user.is_superuser:
            return True
        if limit_paths(request.user) is not None:
            return False
        if obj is None:
            return True
        beyond = User.objects.filter(groups=obj).exclude(manageable_users(request.user))
        assignable = assignable_groups(request.user).filter(pk=obj.pk)
        return obj.name not in GROUPS and assignable.exists() and not beyond.exists()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self._may_write(request, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_write(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.name in GROUPS:
            return False  # The next migration would make it again, without its members.
        return super().has_delete_permission(request, obj) and self._may_write(request, obj)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        if db_field.name == "permissions" and request is not None:
            kwargs["queryset"] = grantable_permissions(request.user)
        return super().formfield_for_manytomany(db_field, request, **kwargs)


@admin.register(Permission)
class PermissionAdmin(admin.ModelAdmin):
    """Only the pick list of the two above: permissions are made by the models."""

    search_fields = ["name", "codename", "content_type__model"]
    ordering = ["content_type__app_label", "content_type__model", "codename"]

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        return {}

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        held = grantable_permissions(request.user).values("pk")
        return super().get_queryset(request).select_related("content_type").filter(pk__in=held)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("auth.change_group")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(UserPreferences)
class UserPreferencesAdmin(LimitedAdmin):
    list_display = ["user", "theme", "language", "page_size", "home_location", "receives_reminders"]
    list_filter = ["theme", "language", "receives_reminders"]
    list_select_related = ["user", "home_location"]
    search_fields = ["user__username", "user__last_name"]
    ordering = ["user__username"]
    autocomplete_fields = ["user", "home_location"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        managed = User.objects.filter(manageable_users(request.user))
        return super().get_queryset(request).filter(user__in=managed.values("pk"))


@admin.register(AuditLog)
class LimitedAuditLogAdmin(AuditLogAdmin):
    """The audit; for a limited administrator what they did themselves: the rest may tell of what lies outside."""

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        rows = super().get_queryset(request)
        return rows if limit_paths(request.user) is None else rows.filter(user__pk=request.user.pk)
