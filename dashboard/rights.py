"""Who may manage whom: nobody gives, or takes over, a right they do not have themselves."""

from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Exists, OuterRef, Q, QuerySet

from locations.models import LocationLimit
from locations.querysets import limit_paths, within_limits


def grantable_permissions(user: Any) -> "QuerySet[Permission]":
    """The permissions that the user holds, directly or by a group; all of them for a superuser."""
    if user.is_superuser:
        return Permission.objects.all()
    held = Q(group__user=user) | Q(user=user)
    return Permission.objects.filter(pk__in=Permission.objects.filter(held).order_by().values("pk"))


def assignable_groups(user: Any) -> "QuerySet[Group]":
    """The groups that hold no permission the user lacks."""
    if user.is_superuser:
        return Group.objects.all()
    lacking = Group.permissions.through.objects.filter(group_id=OuterRef("pk")).exclude(
        permission__in=grantable_permissions(user).values("pk")
    )
    return Group.objects.filter(~Exists(lacking))


def manageable_users(user: Any) -> Q:
    """The condition on users whose rights are a part of the user's own, the user included.

    No superusers, nobody with a permission that the user lacks and, for a limited user, nobody who sees more.
    """
    if user.is_superuser:
        return Q()
    held = grantable_permissions(user).values("pk")
    own_groups = assignable_groups(user).values("pk")
    beyond_by_group = User.groups.through.objects.filter(user_id=OuterRef("pk")).exclude(group__in=own_groups)
    beyond_by_permission = User.user_permissions.through.objects.filter(user_id=OuterRef("pk")).exclude(
        permission__in=held
    )
    condition = Q(Q(is_superuser=False), ~Exists(beyond_by_group), ~Exists(beyond_by_permission))
    if limit_paths(user) is not None:
        limits = LocationLimit.objects.filter(user_id=OuterRef("pk"))
        outside = limits.exclude(within_limits(user, "location__"))
        condition &= Q(Exists(limits), ~Exists(outside))
    return condition | Q(pk=user.pk)
