"""The release: the same for processes of the same files, another one after any change that shows."""

import pytest

from invalidation import release

pytestmark = pytest.mark.once


@pytest.fixture
def site(tmp_path, monkeypatch, settings):
    """A site of two files, and nothing of the packages that are installed here."""
    settings.INVALIDATION_RELEASE = ""
    settings.STATIC_ROOT = tmp_path / "static"
    monkeypatch.setattr(release, "_folders", lambda: {tmp_path / "app"})
    (tmp_path / "app" / "templates").mkdir(parents=True)
    (tmp_path / "app" / "views.py").write_text("one")
    (tmp_path / "app" / "templates" / "page.html").write_text("<p>")
    release.forget()
    yield tmp_path / "app"
    release.forget()


def released():
    release.forget()
    return release.release()


def test_the_same_files_are_the_same_release(site):
    assert released() == released()


@pytest.mark.parametrize("change", ["views.py", "templates/page.html", "locale/de/django.mo", "new.py"])
def test_another_file_is_another_release(site, change):
    before = released()

    (site / change).parent.mkdir(parents=True, exist_ok=True)
    (site / change).write_text("two")

    assert released() != before


def test_other_names_of_static_files_are_another_release(site):
    before = released()

    (site.parent / "static").mkdir()
    (site.parent / "static" / "staticfiles.json").write_text("{}")

    assert released() != before


@pytest.mark.parametrize("change", ["tests/test_views.py", "notes.log", "__pycache__/views.py"])
def test_what_is_not_shown_changes_nothing(site, change):
    before = released()

    (site / change).parent.mkdir(exist_ok=True)
    (site / change).write_text("two")

    assert released() == before


def test_another_version_of_a_package_is_another_release(site, monkeypatch):
    before = released()
    monkeypatch.setattr(release, "distributions", list)

    assert released() != before


def test_a_process_keeps_the_name_of_the_files_it_started_with(site):
    before = release.release()

    (site / "views.py").write_text("two")

    assert release.release() == before


def test_the_operator_may_name_it(site, settings):
    settings.INVALIDATION_RELEASE = "2030.1"

    assert release.release() == "2030.1"


def test_the_sites_own_files_are_looked_at_and_those_of_packages_are_not(settings):
    names = {path.name for path in release._files()}

    assert {"fragments.py", "base.html", "settings.py", "django.mo"} <= names
    assert not any("site-packages" in path.parts for path in release._files())
