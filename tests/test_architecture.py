"""The rules of the house that a machine can check; CONTRIBUTING.md tells them."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from django.apps import apps

from project.places import BASE_DIR

pytestmark = pytest.mark.once

# From the lowest to the highest: what stands later may know what stands earlier.
ENGINE = "invalidation"
LAYERS = [ENGINE, "audit", "locations", "equipment", "analyses", "dashboard"]
DOMAIN_APPS = ["locations", "equipment", "analyses"]
FROM_DJANGO = {"auth", "contenttypes"}
LONGEST_MODULE_LINES = 400
LONGEST_TEST_MODULE_LINES = 600  # read a sentence at a time, not as a whole

FORBIDDEN_MODULE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
FORBIDDEN_NAMES = {"mark_safe", "csrf_exempt"}
FORBIDDEN_CALLS = {"eval", "exec", "SafeString"}
# Icons are drawings of our own files, which an `<svg>` has to hold as they are; a fragment was rendered by a template,
# with escaping on.
EXCEPTIONS = {"dashboard/templatetags/pages.py": {"mark_safe"}, "invalidation/fragments.py": {"mark_safe"}}
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "shelve", "marshal"}
FORBIDDEN_IN_TEMPLATES = {
    "a style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE),
    "a style element": re.compile(r"<style\b", re.IGNORECASE),
    "an inline script": re.compile(r"<script\b(?![^>]*\s(src\s*=|type=\"application/json\"))", re.IGNORECASE),
    "an event handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "a javascript: address": re.compile(r"javascript:", re.IGNORECASE),
    "a file from another site": re.compile(
        r"<(script|link|img|iframe|source)\b[^>]*\s(src|href)\s*=\s*[\"'](https?:)?//", re.IGNORECASE
    ),
    "unescaped output": re.compile(r"\|\s*safe(seq)?\b|{%-?\s*autoescape\s+off"),
    "a cached fragment": re.compile(r"{%\s*cache\b"),
}


def modules():
    """Every Python file of ours, migrations left out: they are written by a command."""
    roots = [*LAYERS, "project", "tests"]
    found = [path for root in roots for path in (BASE_DIR / root).rglob("*.py") if "migrations" not in path.parts]
    return [*found, BASE_DIR / "conftest.py", BASE_DIR / "manage.py"]


def templates():
    """Every template, those of apps included."""
    return [path for path in BASE_DIR.rglob("*.html") if "templates" in path.parts and ".venv" not in path.parts]


def name(path):
    return str(path.relative_to(BASE_DIR))


def forbidden_python(source):
    """What a Python source uses that the house does without, as `line: name`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word):
                used = {word} & FORBIDDEN_NAMES
            case ast.Call(func=ast.Name(id=word) | ast.Attribute(value=ast.Name(id="safestring"), attr=word)):
                used = {word} & FORBIDDEN_CALLS
            case ast.Import(names=names):
                used = {alias.name.split(".")[0] for alias in names} & FORBIDDEN_IMPORTS
            case ast.ImportFrom(module=module, names=names):
                used = {(module or "").split(".")[0]} & FORBIDDEN_IMPORTS
                used |= {alias.name for alias in names} & FORBIDDEN_NAMES
            case _:
                continue
        found += [f"{node.lineno}: {word}" for word in used]
    return sorted(set(found))


def forbidden_markup(source):
    """What a template holds that the house does without, as `line: what`."""
    return [
        f"{source[: match.start()].count(chr(10)) + 1}: {what}"
        for what, pattern in FORBIDDEN_IN_TEMPLATES.items()
        for match in pattern.finditer(source)
    ]


def foreign_relations(layer):
    """Relations that models of the app declare to models of other apps, as (field, app)."""
    return [
        (f"{model.__name__}.{field.name}", field.related_model._meta.app_label)
        for model in apps.get_app_config(layer).get_models(include_auto_created=True)
        for field in [*model._meta.local_fields, *model._meta.local_many_to_many]
        if field.related_model is not None and field.related_model._meta.app_label != layer
    ]


@pytest.mark.parametrize("layer", LAYERS)
def test_relations_between_models_run_one_way(layer):
    allowed = FROM_DJANGO.union(LAYERS[: LAYERS.index(layer)])

    upward = [f"{field} → {app}" for field, app in foreign_relations(layer) if app not in allowed]

    assert upward == []


def test_the_layers_are_those_of_the_import_contract_and_all_our_apps():
    settings = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["tool"]["importlinter"]
    installed = {app.label for app in apps.get_app_configs() if Path(app.path).parent == BASE_DIR}

    assert settings["contracts"][0]["layers"] == ["project", *reversed(LAYERS)]
    assert installed == set(LAYERS)


@pytest.mark.parametrize("app", [layer for layer in LAYERS if layer != ENGINE])
def test_every_app_has_the_same_shape(app):
    folder = BASE_DIR / app
    expected = ["__init__", "apps", "models", "migrations/0001_initial", "tests/__init__"]
    if app in DOMAIN_APPS:
        expected += ["querysets", "services", "admin"]

    # A module that has outgrown one file is a package of the same name.
    missing = [part for part in expected if not ((folder / part).is_dir() or (folder / f"{part}.py").exists())]

    assert missing == []
    assert list(folder.glob("tests/test_*.py")), f"{app} has no tests"


def test_no_module_is_a_drawer_for_everything():
    drawers = [
        name(path) for path in modules() if {path.stem, *path.relative_to(BASE_DIR).parts} & FORBIDDEN_MODULE_NAMES
    ]

    assert drawers == []


def test_every_module_fits_into_one_sitting():
    lengths = {path: len(path.read_text().splitlines()) for path in modules()}

    limits = {path: LONGEST_TEST_MODULE_LINES if "tests" in path.parts else LONGEST_MODULE_LINES for path in lengths}
    assert {name(path): lines for path, lines in lengths.items() if lines > limits[path]} == {}


def test_every_module_says_what_it_holds():
    silent = [
        name(path)
        for path in modules()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert silent == []


def test_no_module_uses_what_the_house_does_without():
    found = {
        f"{name(path)}:{use}"
        for path in modules()
        for use in forbidden_python(path.read_text())
        if use.split()[-1] not in EXCEPTIONS.get(name(path), set())
    }

    assert found == set()


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "import pickle",
        "from pickle import loads",
        "from django.utils.safestring import mark_safe",
        "safestring.mark_safe(x)",
        "SafeString(x)",
        "@csrf_exempt\ndef view(request): ...",
        "@decorators.csrf_exempt\ndef view(request): ...",
        "method_decorator(csrf_exempt)",
    ],
)
def test_the_check_of_modules_finds_what_it_looks_for(source):
    assert forbidden_python(source)


def test_the_check_of_modules_lets_the_rest_pass():
    source = "from django.utils.safestring import SafeString\ndef mark() -> SafeString: re.compile('x').exec_date"

    assert forbidden_python(source) == []


def test_no_template_holds_what_the_policy_of_the_browser_or_the_house_forbids():
    found = {name(path): forbidden_markup(path.read_text()) for path in templates()}

    assert {path: uses for path, uses in found.items() if uses} == {}


@pytest.mark.parametrize(
    "markup",
    [
        '<p class="x" style="color: red">',
        "<p\n  style='color: red'>",
        "<style>p { color: red }</style>",
        "<script>alert(1)</script>",
        '<script type="module">import "./x.js"</script>',
        '<button onclick="go()">',
        '<a href="javascript:go()">',
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/x.css">',
        "{{ name|safe }}",
        "{{ name | safe }}",
        "{% autoescape off %}",
        "{% cache 500 sidebar %}",
    ],
)
def test_the_check_of_templates_finds_what_it_looks_for(markup):
    assert forbidden_markup(markup)


@pytest.mark.parametrize(
    "markup",
    [
        "<script src=\"{% static 'x.js' %}\" defer></script>",
        '<script id="data" type="application/json">{}</script>',
        '<a href="https://maker.example/manual">{{ name|safe_name }}</a>',
        "<p>The style = plain</p>",
    ],
)
def test_the_check_of_templates_lets_the_rest_pass(markup):
    assert forbidden_markup(markup) == []
