"""The documentation names every setting, command and make target that there is, and its links lead somewhere."""

import ast
import re

import pytest
from django.core.management import get_commands

from invalidation import parameters
from invalidation.registry import registry
from project.places import BASE_DIR

pytestmark = pytest.mark.once

OUR_APPS = ["project", "invalidation", "audit", "locations", "equipment", "analyses", "dashboard"]
READERS = {
    "text", "required", "choice", "boolean", "integer", "words", "time_zone", "get", "getenv", "setdefault", "ttl",
}  # fmt: skip
# Set for us by the system or by Django's own tools: nobody is to look for them in our settings.
NOT_OURS = {
    "DJANGO_SETTINGS_MODULE",
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "CI",
    "TERM",
    "NO_COLOR",
    "PYTEST_XDIST_WORKER",
}
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def pages():
    """Every page of documentation that is ours."""
    return [*BASE_DIR.glob("*.md"), *sorted((BASE_DIR / "docs").rglob("*.md"))]


def written():
    """All of the documentation as one text."""
    return "\n".join(page.read_text() for page in pages())


def variables_read(source):
    """The environment variables that a Python source reads by name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args:
            function = node.func
            called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
            reads = called in READERS and (owner in {"", "environment", "os.environ", "environ"} or called == "getenv")
            named = node.args[0] if reads else None
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in {"os.environ", "environ"}:
            named = node.slice
        else:
            continue
        if isinstance(named, ast.Constant) and isinstance(named.value, str) and VARIABLE.fullmatch(named.value):
            found.add(named.value)
    return found


def all_variables_read():
    """What the product and the way the tests are run read."""
    files = [path for app in OUR_APPS for path in (BASE_DIR / app).rglob("*.py") if "tests" not in path.parts]
    files += [BASE_DIR / "conftest.py", BASE_DIR / "tests" / "run.py"]
    return set().union(*(variables_read(path.read_text()) for path in files)) - NOT_OURS


def variables_documented():
    """The variables that a row of docs/settings.md is about."""
    rows = re.findall(r"^\| (.+?) \|", (BASE_DIR / "docs" / "settings.md").read_text(), re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`([A-Z][A-Z0-9_]+)`", row)}


def slug(heading):
    """The anchor that a heading gets."""
    words = re.sub(r"[^\w\s-]", "", re.sub(r"[`*]", "", heading).strip().lower())
    return re.sub(r"\s", "-", words)


def anchors(page):
    """The anchors of a page's headings."""
    return {slug(line) for line in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)}


def broken_links(page):
    """The links of a page to files or headings of ours that are not there."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        goal = (page.parent / file) if file else page
        if not goal.exists() or (anchor and anchor not in anchors(goal)):
            found.append(target)
    return found


def test_every_environment_variable_is_documented():
    assert all_variables_read() - variables_documented() == set()


def test_every_documented_variable_is_read():
    makefile = set(re.findall(r"\b([A-Z][A-Z_]+)\b *\?=|\$\(([A-Z_]+)\)", (BASE_DIR / "Makefile").read_text()))
    read = all_variables_read().union(*makefile)

    assert variables_documented() - read == set()


@pytest.mark.parametrize(
    "source",
    [
        "environment.text('PORT')",
        "environment.choice('PORT', ('1',), '1')",
        "boolean('PORT', False)",
        "os.environ['PORT']",
        "os.environ.get('PORT', '8000')",
        "os.getenv('PORT')",
        "os.environ.setdefault('PORT', '1')",
    ],
)
def test_reading_a_variable_is_noticed_however_it_is_written(source):
    assert variables_read(source) == {"PORT"}


def test_every_management_command_is_documented():
    ours = [command for command, app in get_commands().items() if app in OUR_APPS]

    assert [command for command in ours if f"manage.py {command}" not in written()] == []


def test_every_command_that_the_documentation_tells_to_run_exists():
    named = set(re.findall(r"manage\.py ([a-z][a-z_]+)", written()))

    assert named - set(get_commands()) == set()


def test_every_make_target_is_documented_and_every_documented_one_exists():
    targets = set(re.findall(r"^([a-z-]+):.*## ", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", written())) | set(
        re.findall(r"^    make ([a-z-]+)", written(), re.MULTILINE)
    )

    assert targets - named - {"help"} == set()
    assert named - targets == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(BASE_DIR)))
def test_every_link_leads_somewhere(page):
    assert broken_links(page) == []


def test_a_link_to_a_missing_page_or_heading_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One `thing`\n[a](page.md#one-thing) [b](absent.md) [c](#absent) [d](https://example.org/absent)")

    assert broken_links(page) == ["absent.md", "#absent"]


def test_the_examples_of_explaining_a_read_name_its_parameters():
    page = (BASE_DIR / "docs" / "invalidation" / "operations.md").read_text()
    examples = re.findall(r"^    manage\.py explain_cache ([a-z_]+:[a-z_]+) (.+)$", page, re.MULTILINE)

    keys = [registry.read(name).key(**parameters.of(registry.read(name), words.split())) for name, words in examples]

    assert keys
    # The key in the example of `--key` is that of the read in the example before it.
    assert re.findall(r'--key "(.+)"', page) == [key.partition(":")[2] for key in keys]
