"""The German catalogue fits the pages, and what the site loads is what the catalogue says."""

import gettext
import re
from pathlib import Path

import pytest
from django.conf import settings

FOLDER = settings.BASE_DIR / "locale" / "de" / "LC_MESSAGES"
PLACES = re.compile(r"%\(\w+\)[sd]|%[sd]")

pytestmark = pytest.mark.once


def source_texts() -> dict[str, str]:
    """The catalogue as people write it, without plurals: English to German."""
    text = (FOLDER / "django.po").read_text()
    return dict(re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', text, re.MULTILINE))


def page_texts() -> set[str]:
    """Every text of our own templates that is translated as it stands."""
    pages = [
        path for path in (settings.BASE_DIR / "templates").rglob("*") if path.is_file() and "admin" not in path.parts
    ]
    return {text for path in pages for text in re.findall(r'{% translate "([^"]+)"', path.read_text())}


def test_the_compiled_catalogue_holds_what_the_written_one_says() -> None:
    with Path(FOLDER / "django.mo").open("rb") as compiled:
        loaded = gettext.GNUTranslations(compiled)

    texts = source_texts()

    assert len(texts) > 200
    assert {text: loaded.gettext(text) for text in texts} == texts


def test_every_text_of_the_pages_is_there_in_german() -> None:
    missing = page_texts() - {text for text, german in source_texts().items() if german}

    assert missing == set()


def test_a_translation_fills_in_the_same_places() -> None:
    for text, german in source_texts().items():
        assert sorted(PLACES.findall(text)) == sorted(PLACES.findall(german)), text
