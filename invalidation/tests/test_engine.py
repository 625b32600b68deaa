"""The engine on a small scale: what is read is what was committed."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from invalidation import answers, metrics
from invalidation.exceptions import StoreUnavailableError
from invalidation.reads import CachedRead
from invalidation.registry import registry
from invalidation.tags import table

pytestmark = pytest.mark.django_db(transaction=True)


def names_of_groups() -> list[str]:
    return list(Group.objects.order_by("name").values_list("name", flat=True))


@pytest.fixture
def watched(monkeypatch):
    if registry.watched("auth_group") is None:
        monkeypatch.setattr(registry, "is_closed", False)
        registry.watch(Group)
        registry.close()


@pytest.fixture
def group_names(watched):
    return CachedRead(names_of_groups, "group:names", needs=[table(Group)])


@pytest.fixture(autouse=True)
def settled(cache_prefix, watched):
    from invalidation import epoch

    present = epoch.ensure()
    while epoch.is_quarantined(present):
        epoch.quarantines.try_to_end(present)
        present = epoch.ensure()


def test_a_hit_asks_the_database_nothing(group_names, django_assert_num_queries):
    Group.objects.create(name="a")
    assert group_names() == names_of_groups()

    with django_assert_num_queries(0):
        assert "a" in group_names()


@pytest.mark.parametrize(
    "change",
    [
        lambda: Group.objects.create(name="b"),
        lambda: Group.objects.filter(name="a").update(name="c"),
        lambda: Group.objects.bulk_create([Group(name="x"), Group(name="y")]),
        lambda: Group.objects.get(name="a").delete(),
        lambda: Group.objects.filter(name="a").delete(),
        lambda: connection.cursor().execute("UPDATE auth_group SET name = 'z' WHERE name = 'a'"),
        lambda: connection.cursor().execute("/* hidden */ DELETE FROM auth_group WHERE name = 'a'"),
    ],
)
def test_the_next_read_sees_a_committed_change(group_names, change):
    Group.objects.create(name="a")
    before = group_names()

    change()

    assert group_names() == names_of_groups() != before


def add_and_read(names) -> list[str]:
    Group.objects.create(name="b")
    seen = names()
    raise RuntimeError(seen)


def test_a_rolled_back_change_is_seen_inside_and_never_afterwards(group_names):
    Group.objects.create(name="a")
    before = group_names()

    with pytest.raises(RuntimeError, match="'b'"), transaction.atomic():
        add_and_read(group_names)

    assert group_names() == before


@pytest.mark.parametrize("local", [False, True])
def test_a_copy_in_the_process_is_used_only_while_it_holds(watched, local, django_assert_num_queries):
    names = CachedRead(names_of_groups, "group:copies", needs=[table(Group)], local=local)
    Group.objects.create(name="a")
    names(), names()

    Group.objects.filter(name="a").update(name="b")

    assert "b" in names()
    with django_assert_num_queries(0):
        assert "b" in names()


@pytest.fixture
def outcomes(monkeypatch):
    """What reads came to, one word each; a fill is a part of a miss."""
    noted = []
    monkeypatch.setattr(metrics, "note", lambda _family, event, *_rest: noted.append(event))
    return lambda: [event for event in noted if event not in {"fill", "refused_fill"}]


def test_every_read_has_one_outcome(group_names, outcomes):
    Group.objects.create(name="a")

    group_names(), group_names(), group_names.bypass(), group_names.force_refresh()

    assert outcomes() == ["miss", "hit", "bypass", "miss"]


def test_a_write_is_told_by_its_own_name_and_no_other(watched, monkeypatch):
    causes = []
    monkeypatch.setattr(metrics, "note_invalidation", lambda _tags, _seconds, cause: causes.append(cause))
    first, second = Group.objects.create(name="a"), Group.objects.create(name="b")
    causes.clear()

    first.save()
    second.save()

    assert [f"Group {first.pk}" in causes[-1], "update auth_group" in causes[-1]] == [False, True]


def test_a_failure_that_was_told_a_moment_ago_is_not_told_for_each_read(group_names, caplog, monkeypatch):
    def fail(_question):
        raise StoreUnavailableError("a moment ago")

    monkeypatch.setattr(answers, "look", fail)

    with caplog.at_level("INFO", logger="invalidation.answers"):
        assert group_names() == names_of_groups()

    assert caplog.records == []
