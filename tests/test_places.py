"""Where an installation keeps its files (project/places.py)."""

import os
import secrets
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from project import places

pytestmark = pytest.mark.once


@pytest.fixture
def var(monkeypatch):
    """A `var` of the test's own, with a path short enough for sockets whatever the name of the test is."""
    with tempfile.TemporaryDirectory(prefix="var-") as folder:
        monkeypatch.setenv("PLUMBLINE_VAR", folder)
        yield Path(folder)


def permissions(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_var_is_a_folder_of_the_project_unless_the_environment_names_another(monkeypatch):
    monkeypatch.delenv("PLUMBLINE_VAR", raising=False)

    assert places.var_dir() == places.BASE_DIR / "var"

    monkeypatch.setenv("PLUMBLINE_VAR", "/srv/plumbline")

    assert places.var_dir() == Path("/srv/plumbline")


def test_sockets_live_under_var_where_the_path_is_short_enough(var):
    assert places.redis_socket() == var / "run" / "redis.sock"


@pytest.mark.parametrize("length", range(60, 120))
def test_a_socket_path_always_fits_into_what_the_kernel_takes(monkeypatch, length):
    monkeypatch.setenv("PLUMBLINE_VAR", "/" + "v" * (length - 1))

    assert len(os.fsencode(places.redis_socket())) <= 103


def test_letters_of_several_bytes_count_as_several(monkeypatch):
    monkeypatch.setenv("PLUMBLINE_VAR", "/" + "ü" * 60)

    assert len(os.fsencode(places.redis_socket())) <= 103


def test_the_short_folder_is_the_same_for_every_process_and_another_for_another_installation(monkeypatch):
    monkeypatch.setenv("PLUMBLINE_VAR", "/" + "a" * 120)
    first = places.socket_dir()
    again = places.socket_dir()
    monkeypatch.setenv("PLUMBLINE_VAR", "/" + "b" * 120)

    assert first == again
    assert places.socket_dir() != first


def test_a_private_folder_is_closed_to_others_even_if_it_was_open(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)

    places.make_private(folder)

    assert permissions(folder) == 0o700


def test_a_link_put_in_place_of_the_private_folder_is_refused(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "run").symlink_to(elsewhere)

    with pytest.raises(PermissionError, match="belongs to someone else"):
        places.make_private(tmp_path / "run")


def test_another_users_folder_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)

    with pytest.raises(PermissionError, match="PLUMBLINE_VAR"):
        places.make_private(folder)


def test_a_kept_secret_stays_the_same_and_only_its_owner_reads_it(var):
    kept = places.kept_secret("secret_key")

    assert places.kept_secret("secret_key") == kept
    assert len(kept) >= 50
    assert permissions(var / "secret_key") == 0o600


def test_those_who_make_a_secret_at_once_agree_on_one(var, monkeypatch):
    everyone_found_none = threading.Barrier(8)
    made = secrets.token_urlsafe
    found = []

    def make_together(length):
        everyone_found_none.wait()
        return made(length)

    monkeypatch.setattr(secrets, "token_urlsafe", make_together)
    threads = [threading.Thread(target=lambda: found.append(places.kept_secret("secret_key"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in var.iterdir()] == ["secret_key"]


def test_a_folder_that_everybody_shares_is_left_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)

    with pytest.raises(PermissionError, match="shared with others"):
        places.make_private(shared)

    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
