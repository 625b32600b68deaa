"""Fragments: as fresh as any cached read, the same for everybody of one key, and made of nothing read before."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpResponse
from django.template import Context, TemplateSyntaxError, engines
from django.test import RequestFactory
from django.utils import timezone as timezones
from django.utils import translation
from django.utils.html import format_html

from invalidation import epoch, fragments
from invalidation.exceptions import DeclarationError, UndeclaredDependencyError, UnkeyableValueError, WithheldNameError
from invalidation.fragments import fragment
from invalidation.middleware import VisitMiddleware
from invalidation.pages import cached_page
from invalidation.reads import CachedRead
from invalidation.registry import registry
from invalidation.store import store
from invalidation.tags import row, table
from invalidation.testing import assert_no_queries, in_another_thread, interleave

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)

TEMPLATES = {
    "card.html": "<b>{{ name }}</b>",
    "list.html": '{% load invalidation %}{% for id in ids %}{% fragment "group:card" pk=id %}{% endfor %}',
    "text.html": "{{ text }}|{{ text.label }}",
    "translated.html": "{% load i18n %}{% translate 'Yes' %}",
    "form.html": "<form>{% csrf_token %}</form>",
    "token.html": "{{ csrf_token }}",
    "hidden.html": "{% if csrf_token == 'x' or nothing %}{% endif %}text",
    "nonce.html": '<script nonce="{{ request.csp_nonce }}"></script>',
    "messages.html": "{% for message in messages %}{{ message }}{% endfor %}",
    "user.html": "{% if user.is_staff %}x{% endif %}",
    "perms.html": "{% if perms.auth.view_group %}x{% endif %}",
    "include.html": '{% include "token.html" only %}',
    "late.html": "{% for name in names %}{{ name }}{% endfor %}",
    "inclusion.html": "{% load pages %}{% state_pill 'due' text %}",
}


@pytest.fixture(autouse=True)
def declarations(monkeypatch, settings):
    """A registry of this test's own, templates of its own, and an epoch out of quarantine."""
    monkeypatch.setattr(registry, "_reads", {})
    monkeypatch.setattr(registry, "_watched", dict(registry._watched))
    monkeypatch.setattr(registry, "is_closed", False)
    monkeypatch.setattr(fragments, "_fragments", {})
    settings.INVALIDATION_STRICT = True
    settings.INVALIDATION_RELEASE = "1"
    engine = settings.TEMPLATES[0]
    options = {**engine["OPTIONS"], "loaders": [("django.template.loaders.locmem.Loader", TEMPLATES)]}
    options["loaders"].append("django.template.loaders.filesystem.Loader")
    settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": options}]
    if registry.watched("auth_group") is None:
        registry.watch(Group)
    present = epoch.ensure()
    store().run("settle", [store().names.epoch], (present, epoch.settled(present)))


@pytest.fixture
def card():
    @fragment("group:card", template="card.html", needs=lambda p: [row(Group, p["pk"])])
    def group_card(*, pk: int) -> dict[str, Any]:
        return {"name": Group.objects.values_list("name", flat=True).get(pk=pk)}

    return group_card


@pytest.fixture
def group(card):
    # Those that migrations made.
    Group.objects.all().delete()
    return Group.objects.create(name="Lab")


def declare(template, needs=(), **options):
    @fragment("test:text", template=template, needs=needs, **options)
    def values(*, text: Any = "") -> dict[str, Any]:
        return {"text": text}

    return values


def page(source, **context):
    return engines["django"].from_string("{% load invalidation %}" + source).template.render(Context(context))


# As fresh as a cached read


@committed
def test_the_second_time_a_fragment_asks_the_database_nothing(card, group):
    first = page('{% fragment "group:card" pk=id %}', id=group.pk)

    with assert_no_queries():
        second = page('{% fragment "group:card" pk=id %}', id=group.pk)

    assert first == second == "<b>Lab</b>"


@committed
def test_a_change_is_in_the_next_page(card, group):
    page('{% fragment "group:card" pk=id %}', id=group.pk)

    Group.objects.filter(pk=group.pk).update(name="Ward")

    assert page('{% fragment "group:card" pk=id %}', id=group.pk) == "<b>Ward</b>"


@committed
def test_a_change_while_it_is_rendered_is_not_lost(card, group):
    def rename():
        Group.objects.filter(pk=group.pk).update(name="Ward")

    with interleave("after_compute", lambda: in_another_thread(rename)):
        card.render(pk=group.pk)

    assert card.render(pk=group.pk) == "<b>Ward</b>"


@committed
def test_the_tags_of_a_fragment_inside_reach_the_one_around_it(card, group):
    @fragment("group:all", template="list.html", needs=[table(Group)])
    def group_list() -> dict[str, Any]:
        return {"ids": list(Group.objects.order_by("pk").values_list("pk", flat=True))}

    @fragment("group:one", template="list.html")
    def one_group(*, pk: int) -> dict[str, Any]:
        return {"ids": [pk]}

    assert group_list.render() == one_group.render(pk=group.pk) == "<b>Lab</b>"
    group.name = "Ward"
    group.save()

    assert group_list.render() == one_group.render(pk=group.pk) == "<b>Ward</b>"


@pytest.fixture
def get(group):
    """Asks for a page that shows the group's card, with the copy of an earlier answer if one is given."""

    @cached_page
    def view(request):
        return HttpResponse(page('{% fragment "group:card" pk=id %}', id=group_pk))

    def answer(earlier=None):
        extra = {"HTTP_IF_NONE_MATCH": earlier.headers["ETag"]} if earlier is not None else {}
        return VisitMiddleware(view)(RequestFactory().get("/", **extra))

    group_pk = group.pk
    return answer


@committed
def test_the_tags_of_a_fragment_reach_the_page_and_the_copy_in_the_browser(get, group):
    first = get()
    with assert_no_queries():
        assert get(first).status_code == 304
    Group.objects.filter(pk=group.pk).update(name="Ward")

    second = get(first)

    assert (second.status_code, second.content) == (200, b"<b>Ward</b>")
    assert second.headers["ETag"] != first.headers["ETag"]


@committed
def test_a_transaction_that_changed_what_a_page_shows_gets_no_304(get, group):
    first = get()

    with transaction.atomic():
        Group.objects.filter(pk=group.pk).update(name="Ward")
        inside = get(first)

    assert (inside.status_code, inside.content) == (200, b"<b>Ward</b>")
    assert inside.headers["Cache-Control"] == "private, no-store"


@committed
def test_a_page_whose_fragment_was_bypassed_has_no_copy(card, group):
    @cached_page
    def view(request):
        return HttpResponse(card.bypass(pk=pk))

    pk = group.pk

    answer = VisitMiddleware(view)(RequestFactory().get("/"))

    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "ETag" not in answer.headers


@committed
def test_what_the_template_itself_reads_is_compared_with_the_needs(group):
    @fragment("group:late", template="late.html")
    def names() -> dict[str, Any]:
        return {"names": Group.objects.order_by("name").values_list("name", flat=True)}

    with pytest.raises(UndeclaredDependencyError, match="auth_group"):
        names.render()


@committed
def test_what_is_read_while_rendering_is_read_inside_of_the_fill(group):
    @fragment("group:late", template="late.html", needs=[table(Group)])
    def names() -> dict[str, Any]:
        return {"names": Group.objects.order_by("name").values_list("name", flat=True)}

    assert names.render() == "Lab"


# Nothing read before, nothing of the request


@pytest.mark.parametrize("value", [Group(pk=1), Group.objects.all(), object()], ids=["instance", "queryset", "object"])
def test_what_was_read_before_cannot_be_handed_in(card, value):
    with pytest.raises(TemplateSyntaxError, match="cannot be part of a key"):
        page('{% fragment "group:card" pk=value %}', value=value)
    with pytest.raises(TypeError):
        card.render(pk=value)
    assert issubclass(UnkeyableValueError, TypeError)


@committed
def test_a_fragment_sees_nothing_of_the_page_around_it(group):
    declare("card.html")

    assert page('{% fragment "test:text" %}', name="read earlier") == "<b></b>"


@pytest.mark.parametrize(
    "template",
    [
        "form.html",
        "token.html",
        "hidden.html",
        "nonce.html",
        "messages.html",
        "user.html",
        "perms.html",
        "include.html",
    ],
)
def test_a_template_that_wants_the_request_is_refused_and_not_stored(template):
    wanting = declare(template)

    with pytest.raises(WithheldNameError, match="the same for everybody"):
        wanting.render()

    assert store().command("EXISTS", wanting.read.key()).value == 0


@pytest.mark.parametrize("name", ["csrf_token", "messages", "csp_nonce"])
def test_a_function_cannot_hand_its_template_a_token(name):
    @fragment("test:token", template="card.html")
    def values() -> dict[str, Any]:
        return {name: "x"}

    with pytest.raises(WithheldNameError, match=name):
        values.render()


def test_inclusion_tags_which_pass_the_token_on_work():
    assert "due soon" in declare("inclusion.html").render(text="due soon")


# The same for everybody of one key


def test_each_language_has_its_own():
    translated = declare("translated.html")

    with translation.override("en"):
        english = translated.render()
    with translation.override("de"):
        german = translated.render()

    assert (english, german) == ("Yes", "Ja")


def test_each_time_zone_has_its_own():
    shown = declare("text.html")
    before = shown.read.key()

    with timezones.override("Asia/Tokyo"):
        assert shown.read.key() != before


@committed
def test_each_release_has_its_own(settings, group):
    shown = declare("text.html")
    before = shown.read.key()
    settings.INVALIDATION_RELEASE = "2"

    assert shown.read.key() != before


SAFE = format_html("<{}>", "i")


class Label(Enum):
    ONE = "one"
    label = "never shown"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SAFE, "<i>"),
        ("<i>", SAFE),
        ((SAFE,), ["<i>"]),
        (Label.ONE, "one"),
        ("one", Label.ONE),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
    ],
    ids=repr,
)
def test_who_comes_first_does_not_decide_what_the_next_one_sees(first, second):
    shown = declare("text.html")
    assert shown.read.key(text=fragments.plain(first)) == shown.read.key(text=fragments.plain(second))

    assert shown.bypass(text=first) == shown.bypass(text=second)
    assert repr(fragments.plain(first)) == repr(fragments.plain(second))


def test_a_text_that_the_caller_marked_safe_is_escaped_all_the_same():
    declare("text.html")

    shown = page('{% fragment "test:text" text=text %}', text=SAFE)

    assert shown == "&lt;i&gt;|"


@dataclass
class Plain:
    value: int


def test_values_that_are_no_parameters_are_left_for_the_key_to_refuse():
    assert fragments.plain(Plain(1)) == Plain(1)
    assert fragments.plain((True, 1, None, {"a": [1]})) == (True, 1, None, {"a": (1,)})
    assert type(fragments.plain(True)) is bool
    assert type(fragments.plain(SAFE)) is str


# The tag


@committed
def test_as_keeps_the_content_for_later(card, group):
    assert page('{% fragment "group:card" pk=id as card %}[{{ card }}]', id=group.pk) == "[<b>Lab</b>]"


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ('{% fragment "group:unknown" id=1 %}', "no fragment named"),
        ('{% fragment "group:card" %}', "missing a required"),
        ('{% fragment "group:card" pk=1 more=2 %}', "unexpected keyword"),
        ('{% fragment "group:card" 1 %}', "not written as parameter=value"),
        ("{% fragment name id=1 %}", "in quotes"),
        ("{% fragment %}", "in quotes"),
    ],
)
def test_a_mistake_is_found_when_the_template_is_read(card, tag, problem):
    with pytest.raises(TemplateSyntaxError, match=problem):
        engines["django"].from_string("{% load invalidation %}" + tag)


def test_a_variable_that_is_not_there_is_an_error_and_no_empty_fragment(card):
    with pytest.raises(TemplateSyntaxError, match="pk=nobody"):
        page('{% fragment "group:card" pk=nobody %}')


@committed
def test_a_filter_may_stand_in_for_a_variable_that_is_not_there(card, group):
    assert page(f'{{% fragment "group:card" pk=nobody|default:{group.pk} %}}') == "<b>Lab</b>"


# Declaring


def test_a_name_is_taken_once():
    declare("card.html")

    with pytest.raises(DeclarationError, match="two cached reads"):
        declare("card.html")


def test_there_is_no_declaring_after_start_up():
    registry.close()

    with pytest.raises(DeclarationError, match="after start-up"):
        declare("card.html")


def test_parameters_are_keyword_only_and_typed():
    with pytest.raises(DeclarationError, match="keyword-only"):

        @fragment("test:positional", template="card.html")
        def values(text: str) -> dict[str, Any]:
            return {}


def test_a_fragment_is_a_cached_read_like_any_other(card):
    assert isinstance(registry.read("group:card"), CachedRead)
    assert card.name == "group:card"
