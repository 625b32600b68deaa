"""What is taken over from others is listed with version, licence and hash, and is what it was."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

VENDOR = settings.BASE_DIR / "static" / "vendor"
PACKAGES: list[dict[str, Any]] = json.loads((VENDOR / "manifest.json").read_text())["packages"]
TEMPLATES = settings.BASE_DIR / "templates"

pytestmark = pytest.mark.once


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package["name"])
def test_every_vendored_file_is_what_the_manifest_says(package: dict[str, Any]) -> None:
    folder = VENDOR / package["folder"]

    found = {path.name: digest(path) for path in folder.iterdir()}

    assert found == package["files"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package["name"])
def test_every_vendored_package_states_its_version_and_brings_its_licence(package: dict[str, Any]) -> None:
    licence = (VENDOR / package["folder"] / package["license_file"]).read_text()

    assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
    assert package["license"] in licence
    assert "Copyright" in licence


def test_nothing_lies_among_the_vendored_files_that_no_manifest_lists() -> None:
    folders = {path.name for path in VENDOR.iterdir() if path.name != "manifest.json"}

    assert folders == {package["folder"] for package in PACKAGES}


def test_exactly_the_icons_that_templates_draw_are_vendored() -> None:
    source = "\n".join(path.read_text() for path in TEMPLATES.rglob("*.html"))

    drawn = set(re.findall(r'{% icon "([a-z0-9-]+)"', source)) | set(
        re.findall(r'(?:icon_name="|icon_name\|default:")([a-z0-9-]+)"', source)
    )

    assert drawn == {path.stem for path in (VENDOR / "tabler-icons").glob("*.svg")}


def test_no_page_asks_for_anything_from_another_host_or_carries_script_or_style_inline() -> None:
    for path in TEMPLATES.rglob("*.html"):
        source = path.read_text()
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', source), path
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", source), path
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", source)), path
